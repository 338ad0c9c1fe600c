"""Forking without ComfyUI."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch

from desk import open_desk
from midrun.nodes.engine.tape import capture_rng
from midrun.state.errors import Unavailable
from midrun.state.recording.items import Inputs
from midrun.state.services.preview_files import PreviewFiles
from midrun.state.services.time_travel import TimeTravel


def test_forks_whose_files_cannot_be_made_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_desk(tmp_path) as desk:
        job, recordings = desk.held(), desk.registry.recordings
        one = torch.ones(1)
        recordings.open("p", "3", 0).inputs = Inputs(one, one, one, None, capture_rng(torch.device("cpu")))
        shared = []

        def share(job_id: str, with_id: str, calls: Any) -> None:
            shared.append(with_id)
            if len(shared) == 3:
                raise OSError("no space left on device")

        monkeypatch.setattr(recordings, "share", share)
        travel = TimeTravel(desk.control, None, PreviewFiles(tmp_path, desk.registry.store))  # type: ignore[arg-type]
        with pytest.raises(Unavailable, match="no space left"):
            asyncio.run(travel.fork(job.job_id, 0, "3", count=3))
        assert len(shared) == 3 and desk.queue.runs == []
        assert [desk.registry.get(name) for name in shared] == [None] * 3
        assert desk.registry.store.job_ids().result() == {"p"}
