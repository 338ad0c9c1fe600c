"""Checking a job: today's model is asked what is on record, and what changed is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from safetensors.torch import save_file

import graphs
from bundles import exported, imported
from graphs import Graph, node
from harness import ROOT, Comfy
from resuming import latent
from test_control import expected, kinds, pause_at, start
from test_editing import put
from test_loops_of_others import loop

SAMPLERS = ("euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "dpm_adaptive", "lcm", "ddim")
SAMPLERS += ("uni_pc", "euler_ancestral_cfg_pp")


def checked(comfy: Comfy, job_id: str, steps: str = "all") -> dict[str, Any]:
    status, told = comfy.verb(job_id, "check", {"steps": steps})
    assert status == 202, told
    return over(comfy, job_id)


def over(comfy: Comfy, job_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        check = comfy.get(f"/midrun/jobs/{job_id}/check")
        return None if check["state"] in ("queued", "running") else check

    return comfy.until(ended, "the check to end")


def complete(comfy: Comfy, graph: Graph) -> str:
    job_id = comfy.queue(graph)
    comfy.wait_for(job_id, "completed")
    return job_id


def names(check: dict[str, Any]) -> list[str]:
    return [one["name"] for one in check["changed"]]


def files(comfy: Comfy, job_id: str) -> dict[str, tuple[int, int]]:
    """What lies on the disk of the job's recordings, and when it was written."""
    found = (comfy.base / "user" / "__midrun" / "recordings").rglob(f"{job_id}/**/*")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found if path.is_file()}


def test_nothing_changed_is_said_of_ten_samplers(comfy: Comfy) -> None:
    jobs = {name: complete(comfy, graphs.base(name, key=f"check-{name}")) for name in SAMPLERS}
    for name, job_id in jobs.items():
        before, was, done = comfy.job(job_id), files(comfy, job_id), comfy.probe(f"check-{name}")["done"]
        check = checked(comfy, job_id)
        assert (check["state"], check["verdict"], check["changed"]) == ("done", "equal", []), (name, check)
        assert check["compared"] == check["total"] == before["evaluations"], name
        assert comfy.probe(f"check-{name}")["done"] == done + check["total"], name
        after = comfy.job(job_id)
        changes = {key for key in before if before[key] != after[key]}
        assert changes <= {"check", "updated_at"} and files(comfy, job_id) == was and was, (name, changes)
        assert check["prompt_id"] not in comfy.get("/history")
    assert kinds(comfy, jobs["euler"])[-1] == "checked"
    few = checked(comfy, jobs["euler"], "few")
    assert [one["evaluation"] for one in few["evaluations"]] == [1, 3, 6] and few["verdict"] == "equal"


def with_lora(graph: Graph) -> Graph:
    lora = node("LoraLoaderModelOnly", model=["model", 0], lora_name="checks.safetensors", strength_model=1.0)
    probe = {**graph["probe"], "inputs": {**graph["probe"]["inputs"], "model": ["lora", 0]}}
    return {**graph, "lora": lora, "probe": probe}


def put_lora(comfy: Comfy, value: float) -> None:
    place = comfy.base / "models" / "loras"
    place.mkdir(parents=True, exist_ok=True)
    up, down = torch.full((128, 2), value), torch.ones(2, 32)
    name = "lora_unet_time_embed_0"
    parts = {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down}
    save_file(parts, place / "checks.safetensors")


def test_a_lora_that_was_swapped_under_its_name_is_named(comfy: Comfy) -> None:
    put_lora(comfy, 0.01)
    job_id = complete(comfy, with_lora(graphs.base(key="check-lora")))
    assert checked(comfy, job_id)["verdict"] == "equal"
    put_lora(comfy, 0.03)
    check = checked(comfy, job_id)
    assert check["verdict"] == "different" and check["first"]["step"] == 1
    assert names(check) == ["loras/checks.safetensors", "model patches"]
    assert "loras/checks.safetensors" in check["message"]


def with_encoder(graph: Graph) -> Graph:
    return {**graph, "positive": node("TestFileEncoder", name="checked-encoder.safetensors", seed=10)}


def put_encoder(comfy: Comfy, value: float) -> None:
    place = comfy.base / "models" / "text_encoders"
    place.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.tensor([1.0, value])[-1:]}, place / "checked-encoder.safetensors")


def test_a_text_encoder_whose_weight_was_nudged_is_named(comfy: Comfy) -> None:
    put_encoder(comfy, 1.0)
    job_id = complete(comfy, with_encoder(graphs.base(key="check-encoder")))
    assert checked(comfy, job_id)["verdict"] == "equal"
    put_encoder(comfy, 1.01)
    check = checked(comfy, job_id, "few")
    assert check["verdict"] == "different"
    assert names(check) == ["text_encoders/checked-encoder.safetensors", "positive"]


def today(key: str) -> Graph:
    graph = graphs.base(key=key)
    graph["today"] = node("TestToday", model=["probe", 0], key=key)
    graph["sampler"]["inputs"]["model"] = ["today", 0]
    return graph


def test_threads_that_changed_are_named(comfy: Comfy) -> None:
    job_id = complete(comfy, today("check-threads"))
    comfy.open_gate("check-threads", "threads")
    check = checked(comfy, job_id, "few")
    complete(comfy, today("check-one-thread"))  # which sets them back
    assert check["verdict"] in ("equal", "rounding")
    assert names(check) == ["The number of CPU threads"]


def test_a_patch_that_was_added_is_named(comfy: Comfy) -> None:
    job_id = complete(comfy, today("check-patch"))
    assert checked(comfy, job_id)["verdict"] == "equal"
    comfy.open_gate("check-patch", "patched")
    check = checked(comfy, job_id)
    assert check["verdict"] == "different" and names(check) == ["What patches the model"]
    assert "sharper" in check["changed"][0]["now"]


def test_what_is_paused_failed_or_imported_is_checked_and_goes_on_as_ever(comfy: Comfy) -> None:
    paused = start(comfy, "check-paused", "4")
    was = pause_at(comfy, paused, "check-paused", 4)
    assert checked(comfy, paused)["compared"] == 3
    now = comfy.job(paused)
    assert (now["state"], now["step"], now["prompt_ids"]) == ("paused", 3, was["prompt_ids"])
    copy = imported(comfy, exported(comfy, paused))["job_id"]
    assert copy != paused and checked(comfy, copy)["verdict"] == "equal"
    assert comfy.job(copy)["state"] == "paused"
    comfy.open_gate("check-paused", 4)
    for job_id in (paused, copy):
        comfy.verb(job_id, "resume")
        job = comfy.wait_for(job_id, "completed")
        assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))

    failed = start(comfy, "check-failed", probe={"fail_at": 4})
    comfy.wait_for(failed, "failed")
    assert checked(comfy, failed, "few")["compared"] == 3 and comfy.job(failed)["state"] == "failed"
    assert comfy.job(failed)["error"]["message"] == "simulated failure of the model"


def test_a_check_is_refused_cancelled_and_survives_errors(comfy: Comfy) -> None:
    path = "/midrun/jobs/{}/check"
    running = start(comfy, "check-running", "2")
    comfy.wait_at_gate("check-running", 2)
    status, told = comfy.verb(running, "check")
    assert status == 409 and "Pause it first" in told["error"]["message"]
    assert comfy.call("GET", path.format(running))[1]["error"]["code"] == "no_check"
    assert comfy.verb(running, "check", {"steps": "some"})[0] == 400
    comfy.open_gate("check-running", 2)
    comfy.wait_for(running, "completed")
    own_loop = complete(comfy, loop("check-loop"))
    status, told = comfy.verb(own_loop, "check")
    assert status == 409 and "sampling loop of its own" in told["error"]["message"]

    job_id = complete(comfy, graphs.base(key="check-cancel"))
    blocking = start(comfy, "check-blocks", "1")
    comfy.wait_at_gate("check-blocks", 1)
    assert comfy.verb(job_id, "check")[1]["state"] == "queued"
    assert "already" in comfy.verb(job_id, "check")[1]["error"]["message"]
    assert comfy.call("DELETE", path.format(job_id))[0] == 202
    assert over(comfy, job_id)["state"] == "cancelled"
    comfy.open_gate("check-blocks", 1)
    comfy.wait_for(blocking, "completed")

    broken = comfy.queue(graphs.base(key="check-broken", probe={"fail_at": 0}))
    comfy.wait_for(broken, "completed")
    comfy.verb(broken, "check")
    assert over(comfy, broken)["verdict"] == "equal"
    comfy.verb(broken, "rewind", {"step": 2})
    assert checked(comfy, broken)["compared"] == 2  # as far as it stands


def test_after_an_edit_only_what_was_computed_with_it_is_asked(comfy: Comfy) -> None:
    job_id = start(comfy, "check-edit", "4")
    pause_at(comfy, job_id, "check-edit", 4)
    assert put(comfy, job_id, ("sampler", "cfg", 6.0))[0] == 200
    comfy.verb(job_id, "resume")
    comfy.open_gate("check-edit", 4)
    comfy.wait_for(job_id, "completed")
    check = checked(comfy, job_id)
    assert (check["verdict"], check["compared"], check["earlier"]) == ("equal", 3, 3), check
    assert put(comfy, job_id, ("sampler", "cfg", 5.0))[0] != 200  # it has ended, as before


def test_patches_that_remember_are_given_back_what_they_remembered(comfy: Comfy) -> None:
    for patch in ("EasyCache", "closure", "opaque"):
        if patch == "EasyCache" and not comfy.get("/object_info/EasyCache"):
            continue
        job_id = complete(comfy, graphs.remembering(graphs.base(steps=8, key=f"check-{patch}"), patch))
        for steps in ("all", "few"):
            check = checked(comfy, job_id, steps)
            assert (check["verdict"], check["changed"]) == ("equal", []), (patch, steps, check)
    series = complete(comfy, graphs.in_series(graphs.base(key="check-series")))
    check = checked(comfy, series)
    assert check["verdict"] == "equal"
    assert [one["node_id"] for one in check["evaluations"]] == ["sampler"] * 6 + ["second"] * 6


def command(comfy: Comfy, *arguments: object) -> subprocess.CompletedProcess[str]:
    """With a Python that knows nothing but its own library."""
    told = [sys.executable, "-S", "-m", "midrun", "check", "--server", comfy.url, *map(str, arguments)]
    return subprocess.run(told, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_command_line_says_whether_a_bundle_is_still_answered(comfy: Comfy, tmp_path: Path) -> None:
    job_id = complete(comfy, today("check-command"))
    bundle, report = tmp_path / "golden.midrun", tmp_path / "report.xml"
    bundle.write_bytes(exported(comfy, job_id))
    jobs = comfy.get("/midrun/usage")["jobs"]
    good = command(comfy, bundle, "--junit", report)
    assert good.returncode == 0 and "exactly as on record" in good.stdout, good
    suite = ElementTree.parse(report).getroot()[0]
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("6", "0")

    comfy.open_gate("check-command", "patched")
    other = command(comfy, bundle, "--few", "--junit", report)
    assert other.returncode == 1 and "What patches the model" in other.stdout, other
    suite = ElementTree.parse(report).getroot()[0]
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("3", "3")
    assert comfy.get("/midrun/usage")["jobs"] == jobs  # nothing of it stays behind
    assert command(comfy, job_id).returncode == 1 and comfy.job(job_id)["state"] == "completed"

    bundle.write_bytes(b"no zip")
    for what in (bundle, tmp_path / "missing.midrun", "no-such-job"):
        trouble = command(comfy, what, "--junit", report)
        assert trouble.returncode == 2 and trouble.stderr and "Traceback" not in trouble.stderr, trouble
        assert ElementTree.parse(report).getroot()[0].attrib["errors"] == "1"
    nobody = command(comfy, job_id, "--server", "http://127.0.0.1:9")
    assert nobody.returncode == 2 and "No ComfyUI answers" in nobody.stderr
