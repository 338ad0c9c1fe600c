"""Every language has all keys, all placeholders, its own plural forms and the words of its glossary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LOCALES = Path(__file__).resolve().parents[2] / "locales"
SPOKEN = {"en", "de", "fr", "zh", "ja", "ko", "es"}
FILES = ("main", "nodeDefs", "commands", "settings")
ONE_FORM = {"zh", "ja", "ko"}  # languages without a plural
ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# Names, and words that these languages write as they are.
AS_IN_ENGLISH = re.compile(r"Midrun( Attach)?|KSampler \(Midrun\)|Sigma|σ|\{\w+\}|")
# Where a translation says it with another word, for good reason.
OTHERWISE = {
    ("queue", "midrun.why.idle"),  # "run", as the button is called
    ("queue", "midrun.tray.empty"),
    ("seed", "midrun.draft.do"),
}


def texts(language: str, file: str) -> dict[str, str]:
    """Key, joined by dots -> text."""
    path = LOCALES / language / f"{file}.json"
    return dict(flat(json.loads(path.read_text(encoding="utf-8"))))


def flat(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def english(file: str) -> dict[str, str]:
    """English settings are in the code; their keys are as good in German."""
    return texts("de" if file == "settings" else "en", file)


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def test_these_languages_are_spoken() -> None:
    assert {path.name for path in LOCALES.iterdir() if path.is_dir()} == SPOKEN


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("language", sorted(SPOKEN - {"en"}))
def test_a_language_has_every_text_and_its_placeholders(language: str, file: str) -> None:
    wanted, found = english(file), texts(language, file)
    assert found.keys() == wanted.keys()
    for key, text in wanted.items():
        told = found[key]
        assert bool(told.strip()) == bool(text.strip()), key
        assert told == told.strip(), key
        forms, models = told.split(" | "), text.split(" | ")
        assert len(forms) in ({1} if language in ONE_FORM else {len(models), 2}), key
        assert placeholders(forms[-1]) == placeholders(models[-1]), key  # of one form: "1", or {n}
        assert set(placeholders(forms[0])) | {"{n}"} == {*placeholders(models[-1]), "{n}"}, key


@pytest.mark.parametrize("language", sorted(ONE_FORM))
def test_nothing_is_left_in_english(language: str) -> None:
    for file in FILES:
        for key, text in texts(language, file).items():
            if not (file == "nodeDefs" and key.endswith(".name")):
                assert ASIAN.search(text) or AS_IN_ENGLISH.fullmatch(text), (file, key, text)


def test_inputs_keep_their_names() -> None:
    for language in SPOKEN:
        for key, name in texts(language, "nodeDefs").items():
            if key.endswith(".name"):
                assert name == key.split(".")[-2], (language, key)


def glossary() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Language, English word, its translations."""
    rows = re.findall(r"^\| (.+) \|$", (LOCALES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    head, _, *rest = [[cell.strip() for cell in row.split("|")] for row in rows]
    for word, *translations in rest:
        for language, found in zip(head[1:], translations, strict=True):
            yield language, word, tuple(one.lower() for one in found.split(" / "))


@pytest.mark.parametrize(("language", "word", "said"), list(glossary()))
def test_a_word_is_always_the_same(language: str, word: str, said: tuple[str, ...]) -> None:
    for file in FILES[:3]:
        found = texts(language, file)
        for key, text in english(file).items():
            asked = re.search(rf"\b{word}s?\b", re.sub(r"\{\w+\}", "", text), re.IGNORECASE)
            if asked and not key.endswith(".name") and (word, key) not in OTHERWISE:
                assert any(one in found[key].lower() for one in said), (key, text, found[key])
