"""Two servers without ComfyUI: a job that one has, to be exported from it and imported into the other."""

from __future__ import annotations

import asyncio
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from midrun.nodes.engine.tape import capture_rng
from midrun.state.bundles.layout import Limits
from midrun.state.job.in_flight import Outcome
from midrun.state.job.job import Job
from midrun.state.job.request import Request
from midrun.state.job.view import JobView
from midrun.state.pictures.previews import Preview, PreviewKind
from midrun.state.recording.disk import DiskRecordings
from midrun.state.recording.items import (
    Approach,
    Conditions,
    Evaluation,
    Inputs,
    Remembered,
    Segment,
    Step,
)
from midrun.state.services.differing import Differing
from midrun.state.services.exporting import Exporting
from midrun.state.services.importing import Importing
from midrun.state.services.preview_files import Content, PreviewFiles
from midrun.state.services.registry import Registry
from midrun.state.states import QueuePolicy
from midrun.state.store.store import Store
from midrun.state.surroundings import ModelFile, Pack, Surroundings
from midrun.state.workflow.edits import Edit, changed
from test_job import Flag, enter, seen

JOB = "0b6b2f7c-5a0e-4c51-b7d6-2f8b3a1c9e00"
NODE = "3"
LIMITS = Limits()
STEPS = 4
RNG = capture_rng(torch.device("cpu"))
WEBP = b"RIFF\x04\x00\x00\x00WEBP"
GRAPH = {
    "3": {"class_type": "MidrunKSampler", "inputs": {"cfg": 4.0, "latent_image": ["5", 0]}},
    "5": {"class_type": "LoadImage", "inputs": {"image": "cat.png"}},
}
THERE = Surroundings(
    {"torch": "2.0", "device": "cpu", "threads": "1"},
    (Pack("ComfyUI-Midrun", "1.0", ("MidrunKSampler",)),),
    (ModelFile("loras", "x.safetensors", 5, "a" * 64, "b" * 64),),
)
EXTRA = {
    "client_id": "the-client",
    "extra_pnginfo": {"workflow": {"nodes": [{"id": 5, "widgets_values": ["cat.png", "image"]}]}},
    "some_pack": {"key": "sesame"},
}


class Found:
    def __init__(self, path: Path | None) -> None:
        self.node_id, self.input, self.value, self.path = "5", "image", "cat.png", path


class Around:
    """Of a ComfyUI whose input folder is a directory of the test."""

    def __init__(self, inputs: Path) -> None:
        self.inputs = inputs
        self.now = THERE
        inputs.mkdir(exist_ok=True)

    def describe(self, prompts: list[Any], quick: bool = False) -> Surroundings:
        return self.now

    def again(self, then: Surroundings, prompt: Any, thoroughly: bool) -> Surroundings:
        return self.now

    def files(self, prompt: Any) -> list[Found]:
        names = [node["inputs"].get("image") for node in prompt.values()]
        return [Found(self.inputs / "cat.png") for name in names if name == "cat.png"]

    def bare_name(self, value: str) -> str:
        return value

    def put_there(self, file: Path, name: str) -> tuple[str, bool]:
        target = self.inputs / name
        if target.exists():
            target = self.inputs / f"other-{name}"
        shutil.copyfile(file, target)
        return target.name, True

    def take_away(self, name: str) -> None:
        (self.inputs / name).unlink()

    def may_travel(self, name: str) -> bool:
        return name.endswith(".png")


class Home:
    def __init__(self, place: Path, limits: Limits = LIMITS) -> None:
        self.place = place / "midrun"
        self.place.mkdir(parents=True, exist_ok=True)
        self.store = Store(self.place / "midrun.db")
        self.recordings = DiskRecordings(self.place, lambda job_id, told: None, reserve=0)
        self.files = PreviewFiles(self.place, self.store, reserve=0)
        self.registry = Registry(self.store, self.recordings, Flag())
        self.around = Around(place / "input")
        parts = self.registry, self.recordings, self.files
        self.exporting = Exporting(*parts, self.around, self.place / "exports")
        differing = Differing(self.around)
        incoming = self.place / "imports"
        self.importing = Importing(*parts, differing, self.around, incoming, lambda: limits, reserve=0)

    def close(self) -> None:
        self.recordings.writer.close()
        self.store.close()

    # -- a job -----------------------------------------------------------------------------------------

    def job(self) -> Job:
        """Paused after three of four steps, with a pending edit, a segment, memory, and a preview."""
        (self.around.inputs / "cat.png").write_bytes(b"a cat")
        request = Request(GRAPH, EXTRA, None, {"auth_token_comfy_org": "sesame"})
        job = self.registry.add(JOB, request, QueuePolicy.AUTO)
        assert job is not None
        job.runs.enter_queue()
        ordinal = enter(job, JOB, NODE, STEPS)
        assert ordinal == 0
        self._sample(job)
        job.pause()
        job.worker.stopped(True, {}, park=True)
        job.edit(lambda history: changed(history, (NODE, "cfg"), Edit(4.0, 7.0)))
        job.note("kept", {"latent": "/home/anna/ComfyUI/user/__midrun/kept/x.latent", "client": "x"})
        preview = Preview(NODE, 0, PreviewKind.STEP, 3, 1.0, 8, 8, 1, "taesd", "ab12", job.view().created_at)
        self.files.add(JOB, preview, Content(WEBP))
        self.files.save(JOB)
        self.recordings.flush()
        return job

    def _sample(self, job: Job) -> None:
        recording = self.recordings.open(JOB, NODE, 0)
        sigmas = torch.linspace(8.0, 0.0, STEPS + 1)
        latent = torch.ones(1, 4, 2, 2)
        zeros = torch.zeros_like(latent)
        given = Inputs(latent, zeros, sigmas, None, RNG, begun=1.0, node_id=NODE, display_id=NODE, seed=7)
        recording.inputs = given
        told = {"names": ["EasyCache"], "opaque": [], "first": 1, "before": {"x": {"y": ["p", 1]}}}
        recording.remember(Remembered(0, told, {"0.0": latent}))
        for number in range(3):
            job.call.begin_evaluation()
            job.call.end_evaluation(Outcome.ANSWERED)
            job.call.recorded(number + 1, float(sigmas[number]), True, 0.5)
            marked = job.call.stepped(seen(number + 1, float(sigmas[number]), norm=1.0, change=0.5), True, 0)
            recording.approached(Approach(number, float(sigmas[number]), latent))
            if number == 2:
                origin = Approach(2, 4.0, latent)
                recording.begin(
                    Segment(2, 2, origin, latent.clone(), sigmas[2:].clone(), sigmas, "digest", RNG)
                )
                recording.condition(Conditions(2, {"positive": "abc"}, {"torch": "2.9"}))
            recording.append(Evaluation(latent * number, ({"denoised": latent},), RNG))
            step = Step(number + 1, number + 1, float(sigmas[number]), None, marked.measured, marked.hits)
            recording.mark(step)
            recording.remember(Remembered(number + 1, {"changes": {}, "size": 1}, {"1.0": latent}))
        job.call.leave()
        recording.save()

    # -- bundles ---------------------------------------------------------------------------------------

    def exported(self, job_id: str = JOB) -> bytes:
        async def export() -> bytes:
            made = await self.exporting.export(job_id)
            content = b"".join(made.pieces)
            made.close()
            return content

        return asyncio.run(export())

    def imported(self, bundle: bytes) -> JobView:
        async def take_in() -> JobView:
            incoming = self.importing.begin()
            try:
                incoming.write(bundle)
                incoming.ended()
                return await self.importing.take_in(incoming)
            finally:
                incoming.close()

        return asyncio.run(take_in())

    def kept(self) -> list[str]:
        """All files there are, besides the database, and all jobs."""
        files = [path for path in self.place.parent.rglob("*") if path.is_file()]
        names = [str(path.relative_to(self.place.parent)) for path in files if "midrun.db" not in path.name]
        return sorted([*names, *self.store.job_ids().result()])


@functools.cache
def a_bundle() -> bytes:
    """Of a job as above."""
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "home")
        home.job()
        made = home.exported()
        home.close()
        return made
