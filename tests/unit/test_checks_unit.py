"""What a check compares, tells and leaves alone, without a server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from midrun.midrun.check import code_of
from midrun.midrun.junit import write_report
from midrun.state.bundles.comparing import differences
from midrun.state.checks import Check, Compared, Progress, Same, check_of, in_order, sentence
from midrun.state.surroundings import Difference, ModelFile, Pack, Surroundings, flat, unflat
from midrun.state.workflow.fresh import as_known, fresh

HERE = Surroundings(
    {"torch": "2.9", "device": "cpu", "threads": "4"},
    (Pack("Some-Pack", "1.0", ("Node",), "abc"), Pack("No-Version", None)),
    (ModelFile("loras", "a/b c.safetensors", 5, "f" * 64, "0a"), ModelFile("vae", "gone.safetensors")),
)
EQUAL = Compared("3", 0, 1, 1, 14.6, Same.EQUAL, 0.0, 0.0)
APART = Compared("3", 0, 2, 2, 7.3, Same.DIFFERENT, 0.5, 0.25)
ENDLESS = Compared("3", 0, 3, 3, 1.0, Same.DIFFERENT, None, None)
ROUNDED = Compared("3", 0, 4, 4, 0.5, Same.ROUNDING, 1e-6, 1e-6)
DONE = Check("p", "2026-01-01T00:00:00.000Z", progress=Progress.DONE, total=2, compared=(EQUAL, APART))
LORA = Difference("model", "loras/x", "a", "b", "The model loras/x is another file.", True)
NOISE = Difference("given", "noise", None, None, "The noise of node 3 is not what it was.")
PYTHON = Difference("python", "Python", "3.10", "3.12", "That changes nothing of the result.")


def test_surroundings_are_the_same_after_they_lay_flat() -> None:
    told = flat(HERE)
    assert all(isinstance(text, str) for named in told.items() for text in named)
    back = unflat(told)
    assert differences(HERE, back, ()) == differences(back, HERE, ()) == ()
    assert back.models == HERE.models[:1] and back.values == HERE.values
    assert [(pack.name, pack.version, pack.code) for pack in back.packs] == [
        ("Some-Pack", "1.0", "abc"),
        ("No-Version", None, None),
    ]
    unflat({"model ": "", "model x": "huge", "pack ": "", "odd": ""})  # whatever anybody wrote there


def test_code_of_a_pack_that_changed_under_the_same_version_is_told() -> None:
    then = Surroundings(packs=(Pack("Some-Pack", "1.0", (), "abc"),))
    (found,) = differences(then, Surroundings(packs=(Pack("Some-Pack", "1.0", (), "abd"),)), ())
    assert found.code == "node_pack" and found.arithmetic and "its version is the same" in found.message
    assert differences(then, Surroundings(packs=(Pack("Some-Pack", "1.0"),)), ()) == ()


def test_a_check_is_the_same_after_it_was_stored_and_open_ones_ended_with_their_server() -> None:
    check = replace(DONE, changed=(LORA,), compared=(EQUAL, APART, ENDLESS, ROUNDED))
    assert check_of(json.loads(json.dumps(check.to_row()))) == check
    lost = check_of(json.loads(json.dumps(replace(check, progress=Progress.RUNNING).to_row())))
    assert lost.progress is Progress.FAILED and lost.error is not None
    json.dumps(check.to_json(), allow_nan=False)


def test_the_verdict_is_the_worst_and_names_the_first_and_the_largest() -> None:
    assert Check("p", "t").verdict is None and DONE.verdict is Same.DIFFERENT
    assert replace(DONE, compared=(EQUAL, ROUNDED)).verdict is Same.ROUNDING
    mixed = replace(DONE, compared=(EQUAL, ROUNDED, APART, ENDLESS))
    assert mixed.first is APART and mixed.largest is ENDLESS
    assert replace(DONE, compared=(EQUAL,)).first is None
    assert DONE.summary()["verdict"] == "different"
    assert replace(DONE, progress=Progress.RUNNING).summary()["verdict"] is None


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (replace(DONE, compared=(EQUAL,) * 2), "All 2 evaluations are answered exactly as on record."),
        (DONE, "Step 2 (evaluation 2 of node 3) is the first that is answered otherwise, by 0.5 at most"),
        (DONE, "Nothing changed of what Midrun puts on record"),
        (replace(DONE, changed=(LORA, PYTHON)), "What changed: The model loras/x is another file."),
        (
            replace(DONE, compared=(EQUAL,), changed=(NOISE,)),
            "exactly as on record. The noise of node 3 is not",
        ),
        (replace(DONE, changed=(NOISE,)), "by itself. The noise of node 3 is not"),
        (replace(DONE, changed=(LORA, NOISE)), "is another file. The noise of node 3 is not"),
        (replace(DONE, earlier=3), "3 earlier evaluations were recorded before an edit"),
        (replace(DONE, progress=Progress.RUNNING), "asked 2 of 2"),
        (replace(DONE, progress=Progress.CANCELLED), "cancelled"),
        (
            replace(DONE, progress=Progress.FAILED, error="no memory."),
            "could not come to its end: no memory.",
        ),
    ],
)
def test_a_check_tells_what_it_found(check: Check, told: str) -> None:
    assert told in sentence(check)


def test_the_likeliest_culprit_comes_first_and_each_once() -> None:
    torch = Difference("torch", "PyTorch", "1", "2", "", True)
    positive = Difference("conditioning", "positive", "1", "2", "", True)
    assert in_order((PYTHON, torch, positive, LORA, torch)) == (LORA, positive, torch, PYTHON)


def test_a_fresh_graph_has_marks_at_its_beginnings_and_new_loaders() -> None:
    prompt = {
        "1": {"class_type": "Loader", "inputs": {"name": "x.safetensors"}},
        "2": {"class_type": "Lora", "inputs": {"model": ["1", 0], "lora_name": "y.safetensors"}},
        "3": {"class_type": "Sampler", "inputs": {"model": ["2", 0], "name": "z.safetensors"}},
        "4": {"class_type": "Odd", "inputs": {"model": ["gone", 0]}},
    }
    was = json.dumps(prompt)
    made = fresh(prompt, "mark", {"1", "2", "3"}, {"3"})
    assert json.dumps(prompt) == was and made.keys() == {"1~mark", "2~mark", "3", "4"}
    assert made["1~mark"]["inputs"] == {"name": "x.safetensors", "midrun_check": "mark"}
    assert made["2~mark"]["inputs"] == {"model": ["1~mark", 0], "lora_name": "y.safetensors"}
    assert made["3"]["inputs"]["model"] == ["2~mark", 0]
    assert [as_known(one) for one in ("2~mark", "3", None)] == ["2", "3", None]


def test_a_report_is_xml_whatever_is_in_it(tmp_path: Path) -> None:
    check = replace(DONE, compared=(EQUAL, APART, ROUNDED)).to_json() | {"message": "<b>\x00&\ud800"}
    failed = {"state": "failed", "message": "no server", "verdict": None, "evaluations": []}
    write_report(tmp_path / "r.xml", [("a\x1b.midrun", check, 1, 2.5), ("b", failed, 2, 0.1)])
    first, second = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (first.attrib["tests"], first.attrib["failures"], first.attrib["errors"]) == ("3", "1", "0")
    assert (second.attrib["tests"], second.attrib["failures"], second.attrib["errors"]) == ("1", "0", "1")


@pytest.mark.parametrize(
    ("verdict", "codes"),
    [("equal", (0, 0)), ("rounding", (0, 1)), ("different", (1, 1)), (None, (2, 2))],
)
def test_the_exit_code_tells_the_verdict(verdict: str | None, codes: tuple[int, int]) -> None:
    check = {"state": "done", "verdict": verdict, "changed": [{"code": "model"}]}
    assert (code_of(check, False), code_of(check, True)) == codes
    assert code_of(check | {"state": "cancelled"}, False) == 2


@pytest.mark.parametrize(
    ("code", "codes"), [("given", (1, 1)), ("sampler_code", (1, 1)), ("given_rounded", (0, 1))]
)
def test_equal_answers_of_which_another_result_is_made_are_no_success(
    tmp_path: Path, code: str, codes: tuple[int, int]
) -> None:
    found = Difference(code, "noise", None, None, "told")
    check = replace(DONE, compared=(EQUAL,), changed=(found,)).to_json()
    assert (code_of(check, False), code_of(check, True)) == codes
    write_report(tmp_path / "r.xml", [("a", check, codes[0], 1.0)])
    (suite,) = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert [suite.attrib[name] for name in ("tests", "failures")] == [str(1 + codes[0]), str(codes[0])]
    assert len(suite.findall("testcase")) == 1 + codes[0]
