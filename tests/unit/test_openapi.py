"""openapi.yaml allows what the server takes, and nothing that it refuses. `dev.py fuzz` tries more."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from midrun.state.breakpoints.breakpoints import parsed
from midrun.state.errors import BadRequest
from test_architecture import ROOT

jsonschema = pytest.importorskip("jsonschema")
DESCRIBED = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
TAKEN = (
    {"kind": "step", "value": 3},
    {"kind": "every", "value": 2.0, "id": None, "node_id": "3", "iteration": 2, "hits": 4},
    {"kind": "sigma_below", "value": 0.5, "action": "log", "enabled": False},
    {"kind": "nan"},
    {"kind": "exception", "value": None, "action": "ask", "timeout_s": 1},
    {"kind": "node", "node_id": "8", "choose": None, "iteration": 1, "action": "abort"},
    {"kind": "node", "node_id": "8", "choose": 0},
    {"kind": "time", "from": "22:00", "to": "06:30", "action": "finish"},
    {"kind": "heat", "above": 80, "below": 60.5},
)
REFUSED = (
    {},
    {"kind": "code"},
    {"kind": "step"},
    {"kind": "step", "value": 0},
    {"kind": "every", "value": 1.5},
    {"kind": "change_below", "value": "1"},
    {"kind": "nan", "value": 1},
    {"kind": "nan", "choose": 1},
    {"kind": "exception", "hits": "often"},
    {"kind": "node"},
    {"kind": "node", "node_id": "8", "choose": 1, "iteration": 1},
    {"kind": "node", "node_id": "8", "choose": 1, "action": "log"},
    {"kind": "node", "node_id": "8", "choose": 5000},
    {"kind": "time", "from": "24:00", "to": "06:30"},
    {"kind": "time", "from": "22:00", "to": "06:30", "action": "ask"},
    {"kind": "heat", "above": 80},
    {"kind": "heat", "above": 300, "below": 60},
    {"kind": "step", "value": 1, "timeout_s": 0},
    {"kind": "step", "value": 1, "iteration": 0},
    {"kind": "step", "value": 1, "enabled": 1},
)


def is_described(value: Any, schema: dict[str, Any]) -> bool:
    validator = jsonschema.Draft202012Validator({**schema, "components": DESCRIBED["components"]})
    return validator.is_valid(value)


def body_of(path: str, verb: str) -> dict[str, Any]:
    return DESCRIBED["paths"][path][verb]["requestBody"]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("given", TAKEN, ids=str)
def test_a_breakpoint_that_the_server_takes_is_described_as_it_comes_and_goes(given: dict[str, Any]) -> None:
    (breakpoint,) = parsed([given])
    schema = {"$ref": "#/components/schemas/Breakpoint"}
    assert is_described(given, schema) and is_described(breakpoint.to_json(), schema)


@pytest.mark.parametrize("given", REFUSED, ids=str)
def test_a_breakpoint_that_the_server_refuses_is_not_described(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        parsed([given])
    assert not is_described(given, {"$ref": "#/components/schemas/Breakpoint"})


@pytest.mark.parametrize(
    ("path", "verb", "taken", "refused"),
    [
        ("params", "put", {"6": {"cfg": 1}}, {}),
        ("params", "put", {"6": {"cfg": None}}, {"6": {}}),
        ("rewind", "post", {"step": 0, "params": {}}, {"step": 0, "params": {"6": {}}}),
        ("fork", "post", {"step": 1, "vary": {"6": {"cfg": [1]}}}, {"step": 1, "vary": {"6": {"cfg": []}}}),
        ("fork", "post", {"step": 1, "count": 16}, {"step": 1, "count": 17}),
        (
            "lens",
            "post",
            {"node_id": "3", "input": "text", "without": "red"},
            {"node_id": "3", "input": "text"},
        ),
        (
            "lens",
            "post",
            {"node_id": "3", "input": "text", "value": 0},
            {"node_id": "3", "input": "text", "value": 0, "without": "red"},
        ),
        ("choose", "post", {"chosen": "1, 3"}, {"chosen": "some"}),
        ("choose", "post", {"chosen": []}, {"chosen": [0]}),
    ],
)
def test_a_body_that_makes_no_sense_is_not_described(path: str, verb: str, taken: Any, refused: Any) -> None:
    schema = body_of(f"/midrun/jobs/{{id}}/{path}", verb)
    assert is_described(taken, schema) and not is_described(refused, schema)


def test_every_operation_with_a_body_says_that_it_may_be_too_large() -> None:
    for path, item in DESCRIBED["paths"].items():
        for operation in item.values():
            if isinstance(operation, dict) and "requestBody" in operation:
                assert "413" in operation["responses"], path
