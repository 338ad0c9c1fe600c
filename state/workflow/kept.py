"""What earlier runs of a job did, so that a later run does not do it again. Pure functions over plain data.

A run repeats what an edit changes and nothing else: a node that answers differently each time it is asked
gives what it gave, and an output that was made is not made twice.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .graph import Prompt, descendants, inputs, link

KEPT = "MidrunKept"
PREFIX = "midrun-kept-"
MOST = 1_000_000  # characters of all answers of a job, as JSON
Answer = list[Any]  # of a node: for each of its outputs the list of values, or None where they are not plain


@dataclass(frozen=True)
class Kept:
    """answers: of nodes, by id; done: the output nodes that were executed to their end"""

    answers: dict[str, Answer] = field(default_factory=dict)
    done: tuple[str, ...] = ()

    def without(self, prompt: Prompt, changed: Iterable[str]) -> Kept:
        """What holds still when those nodes of the graph are others: nothing that depends on one of them."""
        gone = descendants(prompt, changed)
        answers = {node_id: answer for node_id, answer in self.answers.items() if node_id not in gone}
        return Kept(answers, tuple(node_id for node_id in self.done if node_id not in gone))

    def with_answers(self, answers: Mapping[str, Answer]) -> Kept:
        """The first answer of a node counts. Those too large for a row of the database are left out."""
        sizes = {node_id: len(json.dumps(answer)) for node_id, answer in answers.items()}
        known, left = dict(self.answers), MOST - (len(json.dumps(self.answers)) if answers else 0)
        for node_id in sorted(answers.keys() - known.keys(), key=lambda node_id: sizes[node_id]):
            left -= sizes[node_id]
            if left >= 0:
                known[node_id] = answers[node_id]
        return Kept(known, self.done)

    def with_done(self, node_ids: Iterable[str]) -> Kept:
        return Kept(self.answers, tuple(dict.fromkeys((*self.done, *node_ids))))

    def to_json(self) -> dict[str, Any]:
        return {"answers": self.answers, "done": list(self.done)}


def kept_of(stored: dict[str, Any]) -> Kept:
    return Kept(stored["answers"], tuple(stored["done"]))


def plain(outputs: Iterable[Iterable[Any]]) -> Answer | None:
    """What is kept of a node's outputs: texts, numbers, booleans, and lists of them. None: of no output."""
    answer = [list(values) if all(_is_plain(value) for value in values) else None for values in outputs]
    return answer if any(values is not None for values in answer) else None


def pinned(prompt: Prompt, kept: Kept) -> Prompt:
    """The graph with what nodes answered in the place of the links to them."""
    made = copy.deepcopy(prompt)
    for node_id in prompt:
        given = inputs(made, node_id)
        for name, value in given.items():
            values = _answer(kept, value)
            if values is not None:
                source, slot = value
                pin = f"{PREFIX}{source}-{slot}"
                told = {"values": json.dumps(values), "node": source, "slot": slot}
                made[pin] = {"class_type": KEPT, "inputs": told, "_meta": {"title": "Midrun"}}
                given[name] = [pin, 0]
    return made


def _answer(kept: Kept, value: Any) -> list[Any] | None:
    source = link(value)
    answer = None if source is None else kept.answers.get(source)
    return answer[value[1]] if answer is not None and 0 <= value[1] < len(answer) else None


def _is_plain(value: Any) -> bool:
    if type(value) is list:
        return all(_is_plain(one) for one in value)
    if type(value) is str:
        return _encodable(value)
    return type(value) in (int, float, bool)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
