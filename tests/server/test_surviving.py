"""What a job survives on a real server: failures, changed inputs, damaged and full disks, other servers."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load

import graphs
from harness import Comfy
from resuming import latent
from test_control import expected, kinds, pause_at, start
from test_ending import denoised_after


def parked_at(comfy: Comfy, key: str, gate: int, graph: graphs.Graph) -> str:
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, key, gate)
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
    return job_id


def warnings(job: dict[str, Any]) -> dict[str, str]:
    return {warning["code"]: warning["message"] for warning in job["warnings"]}


def home(comfy: Comfy) -> Path:
    return comfy.base / "user" / "__midrun"


def written(comfy: Comfy, job_id: str, evaluations: int) -> Path:
    """The directory of the job's recording, once so much of it is on the disk and no more is written."""
    place = home(comfy) / "recordings" / job_id

    def listed() -> set[str]:
        return {file.name for file in place.glob("*/*")}

    def quiet() -> bool:
        before = listed()
        time.sleep(0.2)
        written = sum(name[0] == "0" and name.endswith(".safetensors") for name in before)
        return written >= evaluations and listed() == before and not any("tmp" in name for name in before)

    comfy.until(quiet, "the recording")
    return next(place.iterdir())


def test_running_out_of_memory_costs_no_evaluation(comfy: Comfy) -> None:
    job_id = start(comfy, "oom", steps=12, probe={"fail_at": 7, "out_of_memory": True})
    job = comfy.wait_for(job_id, "failed")
    assert "OutOfMemory" in job["error"]["type"] and "simulated" in job["error"]["message"]
    assert (job["error"]["node_id"], job["step"]) == ("sampler", 6)
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("oom")["done"] == 12
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, steps=12))


def test_inputs_of_another_shape_pause_the_job_again_and_lose_nothing(comfy: Comfy) -> None:
    graph = graphs.varying(graphs.base(key="wide", gates="4", queue_policy="park"), "wide")
    job_id = parked_at(comfy, "wide", 4, graph)
    comfy.open_gate("wide", "wide")
    comfy.verb(job_id, "resume")
    job = comfy.until(lambda: (job := comfy.job(job_id))["error"] and job, "the attempt to fail")
    assert (job["state"], job["held"], job["step"], job["evaluations"]) == ("paused", False, 3, 3)
    assert "noise was (1, 4, 16, 16)" in job["error"]["message"]
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
    comfy.open_gate("wide", "narrow")
    assert comfy.verb(job_id, "resume")[1]["error"] is None
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("wide")["done"] == 6 and warnings(job) == {}
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_inputs_that_differ_a_little_are_replaced_by_the_recorded_ones(comfy: Comfy) -> None:
    graph = graphs.varying(graphs.base(key="nudge", gates="4", queue_policy="park"), "nudge")
    job_id = parked_at(comfy, "nudge", 4, graph)
    comfy.open_gate("nudge", "nudged")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    told = next(event for event in events if event["kind"] == "inputs_differ")
    assert told["detail"]["inputs"] == ["latent_image"] and warnings(job) == {}
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_a_seed_that_changed_by_itself_is_replaced_by_the_recorded_one(comfy: Comfy) -> None:
    options: dict[str, Any] = {"sampler": "euler_ancestral"}  # draws noise of its own from the seed
    base = graphs.base(key="reseed", gates="4", queue_policy="park", **options)
    job_id = parked_at(comfy, "reseed", 4, graphs.varying(base, "reseed"))
    comfy.open_gate("reseed", "reseeded")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert comfy.probe("reseed")["done"] == 6 and "inputs_differ" in kinds(comfy, job_id)
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, **options))


def test_conditioning_that_changed_by_itself_is_told(comfy: Comfy) -> None:
    graph = graphs.varying(graphs.base(key="wildcard", gates="4", queue_policy="park"), "wildcard")
    job_id = parked_at(comfy, "wildcard", 4, graph)
    comfy.open_gate("wildcard", "other")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert "changed its positive:" in warnings(job)["inputs_changed"]
    assert comfy.probe("wildcard")["done"] == 6


def test_a_disk_that_cannot_be_written_is_told_and_sampling_goes_on(comfy: Comfy) -> None:
    job_id = start(comfy, "full", "3,5", queue_policy="hold")
    comfy.wait_at_gate("full", 3)
    place = written(comfy, job_id, 2).parent
    shutil.rmtree(place)
    place.write_text("a file where the directory belongs")
    comfy.open_gate("full", 3)
    comfy.wait_at_gate("full", 5)
    comfy.until(lambda: comfy.job(job_id)["warnings"], "the warning")
    assert "cannot survive a restart" in warnings(comfy.job(job_id))["not_on_disk"]
    place.unlink()
    comfy.open_gate("full", 5)
    comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job_id), expected(comfy))
    comfy.until(lambda: "not_on_disk_over" in kinds(comfy, job_id), "the warning to be taken back")
    assert comfy.job(job_id)["warnings"] == []


def test_an_evaluation_that_was_damaged_while_the_job_was_parked_is_computed_again(comfy: Comfy) -> None:
    job_id = parked_at(comfy, "damage", 5, graphs.base(key="damage", gates="5", queue_policy="park"))
    file = written(comfy, job_id, 4) / "000002.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert warnings(job)["recording_damaged"].startswith("2 recorded evaluations of this job, from number 3")
    assert comfy.probe("damage")["done"] == 8
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_deleting_a_job_removes_its_files(comfy: Comfy) -> None:
    job_id = start(comfy, "files")
    comfy.wait_for(job_id, "completed")
    place = written(comfy, job_id, 6).parent
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}")[0] == 204
    comfy.until(lambda: not place.exists(), "its files to go")


def latent_of(comfy: Comfy, job_id: str, query: str = "") -> torch.Tensor:
    with urllib.request.urlopen(f"{comfy.url}/midrun/jobs/{job_id}/latent{query}") as answer:
        assert ".latent" in answer.headers["Content-Disposition"]
        return load(answer.read())["latent_tensor"]


@pytest.mark.parametrize("masked", [False, True])
def test_the_latent_of_every_step_is_given_out(comfy: Comfy, masked: bool) -> None:
    content = {"empty": False, "seed": 4, "masked": True} if masked else None
    job_id = start(comfy, f"latents-{masked}", "4", latent=content)
    pause_at(comfy, job_id, f"latents-{masked}", 4)
    for step in (1, 2, 3):
        want = denoised_after(comfy, step, latent=content)
        assert torch.equal(latent_of(comfy, job_id, f"?step={step}&node_id=sampler"), want)
    assert torch.equal(latent_of(comfy, job_id), want)
    for query in ("?step=4", "?node_id=nobody", "?step=99999"):
        status, answer = comfy.call("GET", f"/midrun/jobs/{job_id}/latent{query}")
        assert (status, answer["error"]["code"]) == (404, "no_latent")
    assert comfy.call("GET", f"/midrun/jobs/{job_id}/latent?step=-1")[0] == 400
    comfy.verb(job_id, "abort")


def test_an_aborted_job_keeps_its_newest_latent_and_a_picture(comfy: Comfy) -> None:
    graph = graphs.base(key="keep", gates="4")
    extra = {"extra_pnginfo": {"workflow": {"id": "w"}}}
    job_id = comfy.queue(graph, extra_data=extra)
    pause_at(comfy, job_id, "keep", 4)
    comfy.verb(job_id, "abort", {"reason": "bad hands"})
    comfy.until(lambda: "kept" in kinds(comfy, job_id), "the result to be kept")
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    kept = next(event["detail"] for event in events if event["kind"] == "kept")
    picture = Image.open(kept["picture"])
    assert min(picture.size) >= 512 and json.loads(picture.info["workflow"]) == {"id": "w"}
    shutil.rmtree(home(comfy) / "recordings" / job_id)
    want = denoised_after(comfy, 3)
    assert torch.equal(latent_of(comfy, job_id), want)
    # ComfyUI's Load Latent reads it.
    shutil.copy(kept["latent"], comfy.base / "input" / "kept.latent")
    loading = {"load": graphs.node("LoadLatent", latent="kept.latent")}
    loading["save"] = graphs.node("SaveLatent", samples=["load", 0], filename_prefix="latents/test")
    assert torch.equal(latent(comfy, comfy.queue(loading)), want)


def test_failures_tell_reason_node_model_and_step(comfy: Comfy) -> None:
    graph = graphs.slow_decode(graphs.base(key="feed"), "feed", seconds=0, fails=True)
    graph["decode"]["inputs"]["ckpt_name"] = "unused"  # of a node behind the sampler: not the model's file
    graph["model"]["inputs"]["ckpt_name"] = "tiny.safetensors"
    failed = comfy.queue(graph)
    comfy.wait_for(failed, "failed")
    aborted = start(comfy, "feed-abort", "3")
    pause_at(comfy, aborted, "feed-abort", 3)
    comfy.verb(aborted, "abort", {"reason": "seven fingers"})
    told = comfy.get("/midrun/failures?limit=2")
    assert [entry["job_id"] for entry in told["failures"]] == [aborted, failed]
    assert told["failures"][0]["reason"] == "seven fingers" and told["failures"][0]["step"] == 2
    assert told["failures"][1]["error"]["node_id"] == "decode"
    assert told["failures"][1]["node_class"] == "TestSlowLatent"
    assert told["failures"][1]["model_file"] == "tiny.safetensors"
    assert told["counts"]["reason"]["seven fingers"] == 1
    assert told["counts"]["model"]["tiny.safetensors"] == 1
    assert comfy.call("GET", "/midrun/failures?limit=0")[0] == 400


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Comfy]:
    """A server of one's own, to be killed."""
    server = Comfy(tmp_path).start()
    yield server
    server.stop()


def test_jobs_killed_in_every_state_come_back(mortal: Comfy) -> None:
    """failed, parked, parked with its recording deleted, being resumed, and held."""
    lives = {"failed": 3, "parked": 4, "gone": 6, "resuming": 4, "held": 4}  # evaluations after the restart
    jobs = {"failed": start(mortal, "failed", probe={"fail_at": 4})}
    mortal.wait_for(jobs["failed"], "failed")
    tokens = {"auth_token_comfy_org": "sesame"}
    for key in ("parked", "gone", "resuming"):
        graph = graphs.base(key=key, gates="3", queue_policy="park")
        jobs[key] = mortal.queue(graph, extra_data=tokens if key == "parked" else {})
        pause_at(mortal, jobs[key], key, 3)
    jobs["held"] = start(mortal, "held", "3", queue_policy="hold")
    pause_at(mortal, jobs["held"], "held", 3)
    mortal.verb(jobs["resuming"], "resume")
    assert "queue" in kinds(mortal, jobs["resuming"])  # told from the database: it is written
    for key, job_id in jobs.items():
        written(mortal, job_id, 6 - lives[key] if key != "gone" else 2)
    mortal.kill()
    shutil.rmtree(home(mortal) / "recordings" / jobs["gone"])
    mortal.start()
    found = {key: mortal.job(job_id) for key, job_id in jobs.items()}
    assert {job["pause_reason"] for job in found.values()} == {None, "user", "server_restart"}
    assert found["resuming"]["pause_reason"] == "server_restart" and found["failed"]["state"] == "failed"
    for key, job in found.items():
        assert job["state"] in ("paused", "failed") and job["held"] is False
        codes = {"parked": {"without_secrets"}, "gone": {"recording_gone"}}.get(key, set())
        assert warnings(job).keys() == codes
        assert mortal.verb(jobs[key], "resume")[0] == 202
        if key != "failed":
            mortal.wait_at_gate(key, 3)
            mortal.open_gate(key, 3)
        job = mortal.wait_for(jobs[key], "completed")
        assert mortal.probe(key)["done"] == lives[key]
        assert torch.equal(latent(mortal, job["prompt_id"]), expected(mortal))


def test_two_servers_on_one_directory_keep_apart(mortal: Comfy) -> None:
    job_id = start(mortal, "first", "3", queue_policy="hold")
    pause_at(mortal, job_id, "first", 3)
    second = Comfy(mortal.base).start()
    try:
        assert "another ComfyUI server uses" in second.tail(100000)
        assert second.call("GET", f"/midrun/jobs/{job_id}")[0] == 404
        other = start(second, "second")
        second.wait_for(other, "completed")
        assert (home(second) / "server-2" / "recordings" / other).is_dir()
    finally:
        second.stop()
    assert mortal.job(job_id)["state"] == "paused"
    mortal.verb(job_id, "resume")
    mortal.wait_for(job_id, "completed")


def test_old_recordings_go_when_the_server_starts(mortal: Comfy) -> None:
    done = start(mortal, "old")
    mortal.wait_for(done, "completed")
    paused = start(mortal, "old-paused", "3", queue_policy="park")
    pause_at(mortal, paused, "old-paused", 3)
    aborted = start(mortal, "old-aborted", "3")
    pause_at(mortal, aborted, "old-aborted", 3)
    mortal.verb(aborted, "abort")
    mortal.until(lambda: "kept" in kinds(mortal, aborted), "the result to be kept")
    result = home(mortal) / "kept" / aborted
    shutil.rmtree(result)  # as a crash right after the abort leaves it
    recordings = [written(mortal, job, n).parent for job, n in ((done, 6), (aborted, 2), (paused, 2))]
    settings = mortal.base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"Midrun.RecordingsAge": 1e-6}))
    mortal.stop()
    mortal.start()
    mortal.until(lambda: not any(place.exists() for place in recordings[:2]), "the old recordings to go")
    assert recordings[2].exists() and mortal.job(done)["state"] == "completed"
    assert {file.suffix for file in result.iterdir()} == {".latent", ".png"}
