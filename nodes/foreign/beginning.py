"""What a loop began with: recorded the first time, and given back when its node runs again."""

from __future__ import annotations

import time
from typing import Any

import torch

from ...state.job.job import Job
from ...state.node import Node
from ...state.recording.items import Damaged, Inputs, RngState
from ...state.recording.recording import Recording, Recordings
from ...state.server_directory import directory_name
from ..engine.inputs import read_recorded
from ..engine.tape import InputsChanged


def recorded_rng(recordings: Recordings, job_id: str, node_id: str) -> RngState | None:
    """The generators with which the node began, where its answers are on record."""
    recording = recordings.calls(job_id).get((directory_name(node_id), 0))
    origin = None if recording is None else recording.origin
    if (
        recording is None
        or origin is None
        or not origin.own_loop
        or not (len(recording) or recording.rewound)
    ):
        return None
    try:
        inputs = recording.inputs
    except Damaged:
        return None  # it is told when the loop begins
    return None if inputs is None else inputs.rng


def inputs_of(
    job: Job, node: Node, ordinal: int, recording: Recording, rng: RngState, latent_format: dict[str, Any]
) -> Inputs:
    """What is on record of the loop, or what it begins with now. Raises InputsChanged.

    rng: with which the node began; latent_format: of what it tells of its steps
    """
    view = job.view()
    stands_here = (view.node_id, view.call) == (node.node_id, ordinal)
    recorded = read_recorded(job, recording, view.evaluations if stands_here else 0)
    if recorded is not None and not recorded.own_loop and len(recording):
        raise InputsChanged(
            f"Midrun cannot go on with {node.display_id}: what is on record was sampled by ComfyUI, and the "
            "node has a sampling loop of its own now. Restore what changed and resume, or rewind to step 0."
        )
    if recorded is not None and recorded.own_loop and (len(recording) or recording.rewound):
        return recorded
    nothing = torch.empty(0)
    inputs = Inputs(
        *(nothing, nothing, nothing, None, rng, latent_format),
        begun=time.time(),
        node_id=node.node_id,
        display_id=node.display_id,
        loops=node.loops,
        own_loop=True,
    )
    recording.inputs = inputs
    return inputs
