"""Leaving words out of a prompt's text, with what belongs to them. Pure functions."""

from __future__ import annotations

import re

HOLE = "\0"  # where something was left out
_TAG = r"<[^<>]*>"  # of a LoRA, say, as some node packs read it
_BEGINS, _ENDS = r"(?<!\w)(?<!\w[-'’])(?<!embedding:)", r"(?!\w)(?![-'’]\w)"  # "red" is no word of "dark-red"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_GROUPS = (
    re.compile(rf"(?<!\\)\([ \t]*{HOLE}[ \t]*(?::[ \t]*{_NUMBER}[ \t]*)?\)"),
    re.compile(rf"(?<!\\)\[[ \t]*{HOLE}[ \t]*\]"),
)
_MANY = re.compile(rf"{HOLE}(?:[ \t]*,?[ \t]*{HOLE})+")
_OPENS = r"(?:^|(?<=[,(\[{|\n]))"  # what begins a part of the text
_CLOSES = r"(?=$|[.:;!?)\]}|\n])"
_SUPERFLUOUS = (
    (re.compile(rf"{_OPENS}([ \t]*){HOLE}[ \t]*,[ \t]*"), r"\1"),  # "a, HOLE, b", "HOLE, b"
    (re.compile(rf"[ \t]*,[ \t]*{HOLE}[ \t]*{_CLOSES}"), ""),  # "a, HOLE"
    (re.compile(rf"{_OPENS}([ \t]*){HOLE}[ \t]*"), r"\1"),  # "HOLE b"
    (re.compile(rf"[ \t]*{HOLE}(?=[ \t]*(?:$|[,.;:!?)\]}}|\n]))"), ""),  # "a HOLE, b", "(a HOLE:1.2)"
    (re.compile(rf"[ \t]+{HOLE}[ \t]+"), " "),  # "a HOLE b"
    (re.compile(HOLE), ""),
)


def without(text: str, phrase: str) -> str | None:
    """The text without each occurrence of that word or phrase; None where there is none.

    Whole words only, in any case and with any blanks between them. A weight, as in `(word:1.2)`, goes with
    its word, and so does the comma or the blank that separated it. The rest of the text stays as it is.
    """
    words = phrase.split()
    if not words or HOLE in text:
        return None
    whole = _BEGINS + r"\s+".join(map(re.escape, words)) + _ENDS
    found = re.compile(f"{_TAG}|({whole})", re.IGNORECASE)
    made = found.sub(lambda one: HOLE if one[1] else one[0], text)
    return _closed(made) if HOLE in made else None


def _closed(text: str) -> str:
    before = None
    while text != before:
        before = text
        for group in _GROUPS:
            text = group.sub(HOLE, text)
        text = _MANY.sub(HOLE, text)
    while HOLE in text:
        for pattern, instead in _SUPERFLUOUS:
            text, count = pattern.subn(instead, text, count=1)
            if count:
                break
    return text
