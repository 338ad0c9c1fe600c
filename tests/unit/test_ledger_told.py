"""What the ledger tells of many workflows, and of names that a store does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from midrun.state.job.request import Request
from midrun.state.ledger import MOST, Answered, Figures, Row, to_json
from midrun.state.states import State
from midrun.state.store.store import Store
from test_store import view


def test_the_smallest_of_many_are_summed_up() -> None:
    rows = [Row(f"{n}", f"w{n}", "m", "", Figures(float(n))) for n in range(MOST + 3)]
    told = to_json(rows)
    *listed, rest = told["by_workflow"]
    assert len(listed) == MOST and {row["workflow"] for row in listed}.isdisjoint({"w0", "w1", "w2"})
    assert (rest["workflow"], rest["others"], rest["computed_s"]) == ("other", 3, 3.0)
    assert len(told["by_week"]) == MOST + 3 and len(told["by_model"]) == 1


@pytest.mark.parametrize("odd", ["a\ud800", "\udfff"])
def test_a_lone_surrogate_in_a_name_loses_nothing(tmp_path: Path, odd: str) -> None:
    graph = {
        "loader": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": f"{odd}.safetensors"}},
        "3": {"class_type": "MidrunKSampler", "inputs": {"model": ["loader", 0]}},
    }
    store = Store(tmp_path / "midrun.db")
    store.add(view("p", State.RUNNING), Request(graph, {"extra_pnginfo": {"workflow": {"name": odd}}}))
    store.save_measured("p", [], [Answered("3", 0, 1, 2.0)])
    (row,) = store.ledger().result()
    store.close()
    assert row.figures.computed_s == 2.0
    assert row.workflow == odd.encode(errors="replace").decode() and row.model.endswith("?.safetensors")
