"""Jobs that go on on another server, with a base directory of its own: bit-identically."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import graphs
from bundles import exported, files_in, imported, job_in, sealed, with_job, zipped
from harness import Comfy
from hostile_bundles import hostile
from resuming import latent
from test_control import expected, kinds, pause_at, start
from test_editing import put
from test_loops_of_others import loop
from test_surviving import home, warnings, written
from two_homes import a_bundle


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """The server on which jobs go on."""
    server = Comfy(tmp_path_factory.mktemp("other")).start()
    yield server
    server.stop()


def goes_on(other: Comfy, job_id: str, key: str) -> tuple[torch.Tensor, dict[str, Any]]:
    """The result of a job that came in a bundle, and the job at its end. No gate stops it any more."""
    for gate in range(1, 13):
        other.open_gate(key, gate)
    status, told = other.verb(job_id, "resume")
    assert status == 202, told
    job = other.wait_for(job_id, "completed")
    return latent(other, job["prompt_id"]), job


def codes(job: dict[str, Any]) -> list[str]:
    return [one["code"] for one in job["imported"]["differences"]]


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde", "uni_pc"])
def test_a_paused_job_goes_on_elsewhere(comfy: Comfy, other: Comfy, sampler: str) -> None:
    key = f"bundle-{sampler}"
    job_id = start(comfy, key, "4", sampler=sampler, steps=8)
    job = pause_at(comfy, job_id, key, 4)
    here = imported(other, exported(comfy, job_id))
    for name in ("job_id", "state", "step", "evaluations", "node_id", "total_steps", "sigma"):
        assert here[name] == job[name], name
    assert here["prompt_ids"] == [job_id] and here["warnings"] == []
    assert codes(here) == [] and not here["imported"]["wants_check"]
    got, ended = goes_on(other, job_id, key)
    assert torch.equal(got, expected(comfy, sampler=sampler, steps=8)) and ended["warnings"] == []
    assert other.probe(key)["done"] == 8 - job["evaluations"]
    comfy.verb(job_id, "abort")


def test_a_failed_job_goes_on_elsewhere_and_a_running_one_as_of_its_newest_evaluation(
    comfy: Comfy, other: Comfy
) -> None:
    failed = start(comfy, "bundle-failed", probe={"fail_at": 4})
    comfy.wait_for(failed, "failed")
    here = imported(other, exported(comfy, failed))
    assert (here["state"], here["step"]) == ("failed", 3) and "simulated" in here["error"]["message"]
    assert torch.equal(goes_on(other, failed, "bundle-failed")[0], expected(comfy))

    running = start(comfy, "bundle-running", "5")
    comfy.wait_at_gate("bundle-running", 5)
    written(comfy, running, 4)
    bundle = exported(comfy, running)
    assert b"Midrun-Job-State: running; as of step 4, 4 evaluations" in files_in(bundle)["bag-info.txt"]
    here = imported(other, bundle)
    assert (here["state"], here["step"], here["evaluations"]) == ("paused", 4, 4)
    assert comfy.job(running)["state"] == "running"  # which goes on undisturbed
    comfy.open_gate("bundle-running", 5)
    comfy.wait_for(running, "completed")
    assert torch.equal(goes_on(other, running, "bundle-running")[0], latent(comfy, running))
    assert other.probe("bundle-running")["done"] == 2


def test_a_job_whose_server_was_killed_goes_on_elsewhere(other: Comfy, tmp_path: Path) -> None:
    mortal = Comfy(tmp_path).start()
    try:
        job_id = start(mortal, "bundle-killed", "4")
        mortal.wait_at_gate("bundle-killed", 4)
        written(mortal, job_id, 3)
        mortal.kill()
        mortal.start()
        bundle = exported(mortal, job_id)
    finally:
        mortal.stop()
    assert imported(other, bundle)["pause_reason"] == "server_restart"
    assert torch.equal(goes_on(other, job_id, "bundle-killed")[0], expected(other))
    assert other.probe("bundle-killed")["done"] == 3


def test_edits_and_a_segment_travel_with_a_job(comfy: Comfy, other: Comfy) -> None:
    """cfg at step 2, another schedule at step 4, both on record; and one that is pending."""
    options: dict[str, Any] = {"steps": 10, "scheduler": "simple"}
    results = []
    for server, key in ((comfy, "bundle-edits"), (other, "bundle-not-sent")):
        job_id = start(server, key, "3,5,7", **options)
        pause_at(server, job_id, key, 3)
        assert put(server, job_id, ("sampler", "cfg", 6.0))[0] == 200
        server.verb(job_id, "resume")
        pause_at(server, job_id, key, 5)
        assert put(server, job_id, ("sampler", "steps", 14))[0] == 200
        server.verb(job_id, "resume")
        job = pause_at(server, job_id, key, 7)
        assert put(server, job_id, ("sampler", "cfg", 2.5))[0] == 200
        if server is comfy:
            here = imported(other, exported(comfy, job_id))
            assert here["modified_params"] == comfy.job(job_id)["modified_params"]
            assert (here["step"], here["total_steps"]) == (job["step"], job["total_steps"])
            comfy.verb(job_id, "abort")
        results.append(goes_on(other, job_id, key))
    (got, job), (want, _) = results
    assert torch.equal(got, want)
    assert job["modified_params"]["sampler"]["cfg"] == {"from": 6.0, "to": 2.5, "from_step": 6}
    assert "segment" in kinds(other, job["job_id"])


def test_a_job_with_two_samplers_in_series_goes_on_in_either(comfy: Comfy, other: Comfy) -> None:
    for gate in (4, 9):
        key = f"bundle-series-{gate}"
        job_id = comfy.queue(graphs.in_series(graphs.base(key=key, gates=str(gate))))
        job = pause_at(comfy, job_id, key, gate)
        assert job["node_id"] == ("sampler" if gate == 4 else "second")
        here = imported(other, exported(comfy, job_id))
        assert (here["node_id"], here["evaluations"]) == (job["node_id"], job["evaluations"])
        got, _ = goes_on(other, job_id, key)
        stock = graphs.in_series(graphs.base(watched=False))
        assert torch.equal(got, latent(comfy, comfy.queue(stock)))
        comfy.verb(job_id, "abort")


def test_what_happened_tells_whose_steps_it_counts_also_elsewhere(comfy: Comfy, other: Comfy) -> None:
    job_id = comfy.queue(graphs.in_series(graphs.base(key="bundle-whose", gates="4,9")))
    pause_at(comfy, job_id, "bundle-whose", 4)
    for node_id in ("sampler", "second"):
        assert put(comfy, job_id, (node_id, "cfg", 6.0))[0] == 200
    comfy.verb(job_id, "resume")
    job = pause_at(comfy, job_id, "bundle-whose", 9)
    assert job["modified_in"] == {"sampler": {"cfg": "sampler"}, "second": {"cfg": "sampler"}}, (
        "its third step"
    )
    events = comfy.get(f"/midrun/jobs/{job_id}/events")["events"]
    stops = [
        (one["node_id"], one["step"]) for one in events if one["state_to"] == "paused" != one["state_from"]
    ]
    assert stops == [("sampler", 3), ("second", job["step"])]
    assert events[0]["node_id"] is None
    here = imported(other, exported(comfy, job_id))
    there = other.get(f"/midrun/jobs/{here['job_id']}/events")["events"]
    assert there[: len(events)] == events and there[-1]["node_id"] == "second"
    comfy.verb(job_id, "abort")


def test_a_fork_goes_on_elsewhere(comfy: Comfy, other: Comfy) -> None:
    job_id = start(comfy, "bundle-parent", "5,7", steps=8)
    pause_at(comfy, job_id, "bundle-parent", 5)
    wanted = {"step": 3, "params": {"sampler": {"cfg": 7.0}}}
    status, told = comfy.verb(job_id, "fork", wanted)
    assert status == 202, told
    fork = told["jobs"][0]["job_id"]
    comfy.verb(job_id, "abort")
    pause_at(comfy, fork, "bundle-parent", 7)
    here = imported(other, exported(comfy, fork))
    assert here["parent"] is None  # nobody there knows it
    got, job = goes_on(other, fork, "bundle-parent")
    comfy.verb(fork, "resume")
    ended = comfy.wait_for(fork, "completed")
    assert torch.equal(got, latent(comfy, ended["prompt_id"]))
    assert job["modified_params"]["sampler"]["cfg"]["from_step"] == 3


def test_a_job_that_was_rewound_takes_what_is_left_over_along(comfy: Comfy, other: Comfy) -> None:
    job_id = start(comfy, "bundle-take", "6", steps=8)
    pause_at(comfy, job_id, "bundle-take", 6)
    comfy.verb(job_id, "rewind", {"step": 2})
    here = imported(other, exported(comfy, job_id))
    assert (here["step"], here["take"]["step"]) == (2, 5)
    status, back = other.call("DELETE", f"/midrun/jobs/{job_id}/rewind")
    assert (status, back["step"], back["evaluations"]) == (200, 5, 5)
    assert torch.equal(goes_on(other, job_id, "bundle-take")[0], expected(comfy, steps=8))
    assert other.probe("bundle-take")["done"] == 3
    comfy.verb(job_id, "abort")


def test_a_completed_job_is_rewound_where_it_is_imported(comfy: Comfy, other: Comfy) -> None:
    job_id = start(comfy, "bundle-done")
    comfy.wait_for(job_id, "completed")
    assert imported(other, exported(comfy, job_id))["state"] == "completed"
    status, told = other.verb(job_id, "rewind", {"step": 4})
    assert (status, told["state"], told["step"]) == (200, "paused", 4)
    assert torch.equal(goes_on(other, job_id, "bundle-done")[0], latent(comfy, job_id))
    assert other.probe("bundle-done")["done"] == 2


def test_a_loop_of_its_own_goes_on_elsewhere(comfy: Comfy, other: Comfy) -> None:
    job_id = comfy.queue(loop("bundle-loop", gates="5"))
    pause_at(comfy, job_id, "bundle-loop", 5)
    assert imported(other, exported(comfy, job_id))["evaluations"] == 4
    got, _ = goes_on(other, job_id, "bundle-loop")
    comfy.verb(job_id, "resume")
    ended = comfy.wait_for(job_id, "completed")
    assert torch.equal(got, latent(comfy, ended["prompt_id"])) and other.probe("bundle-loop")["done"] == 4


def test_a_loop_of_its_own_is_checked_where_the_arithmetic_may_differ(comfy: Comfy, other: Comfy) -> None:
    job_id = comfy.queue(loop("bundle-loop-odd", gates="5"))
    pause_at(comfy, job_id, "bundle-loop-odd", 5)

    def elsewhere(told: dict[str, Any]) -> None:
        told["surroundings"]["values"]["torch"] = "1.0"

    here = imported(other, zipped(sealed(with_job(files_in(exported(comfy, job_id)), elsewhere))))
    assert here["imported"]["wants_check"]
    _, job = goes_on(other, job_id, "bundle-loop-odd")
    assert job["imported"]["checked"] == {"evaluation": 4, "difference": 0.0, "largest": None}
    assert other.probe("bundle-loop-odd")["done"] == 4 + 1 and "answers_otherwise" not in warnings(job)
    comfy.verb(job_id, "abort")


def test_no_class_is_made_of_what_a_bundle_names(comfy: Comfy, other: Comfy) -> None:
    job_id = comfy.queue(loop("bundle-class", gates="3", answers="dataclass"))
    pause_at(comfy, job_id, "bundle-class", 3)
    status, told = other.call("POST", "/midrun/jobs/import", exported(comfy, job_id))
    assert (status, told["error"]["code"]) == (422, "bad_bundle")
    assert "which is made of this server's own recordings only" in told["error"]["message"]
    comfy.verb(job_id, "abort")


def test_an_input_picture_travels_and_takes_no_other_pictures_place(comfy: Comfy, other: Comfy) -> None:
    pixels = np.random.default_rng(5).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(comfy.base / "input" / "one of two.png")
    (other.base / "input").mkdir(exist_ok=True)
    Image.fromarray(255 - pixels).save(other.base / "input" / "one of two.png")
    before = (other.base / "input" / "one of two.png").read_bytes()
    key, options = "bundle-picture", {"denoise": 0.7, "steps": 8}
    graph = graphs.image_to_image(graphs.base(key=key, gates="4", **options), "one of two.png")
    graph["save"] = graphs.node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/test")
    job_id = comfy.queue(graph, extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}})
    pause_at(comfy, job_id, key, 4)
    bundle = exported(comfy, job_id)
    assert job_in(bundle)["inputs"][0] == {
        "file": "0001.png",
        "value": "one of two.png",
        "name": "one of two.png",
        "at": [["load", "image"]],
    }
    here = imported(other, bundle)
    assert codes(here) == [] and (other.base / "input" / "one of two.png").read_bytes() == before
    values = other.get(f"/midrun/jobs/{job_id}/params")["nodes"]["load"]["inputs"]["image"]
    assert values["value"].startswith("one of two-") and not values["modified"]
    got, job = goes_on(other, job_id, key)
    stock = graphs.image_to_image(graphs.base(watched=False, **options), "one of two.png")
    stock["save"] = graph["save"]
    assert torch.equal(got, latent(comfy, comfy.queue(stock))) and job["warnings"] == []
    assert "inputs_differ" not in kinds(other, job_id)
    again = imported(other, bundle)  # the picture is there by now: it is used as it is
    assert len(list((other.base / "input").glob("one of two*"))) == 2
    assert again["job_id"] != job_id
    comfy.verb(job_id, "abort")


def test_what_patches_remember_is_computed_again(comfy: Comfy, other: Comfy) -> None:
    graph = graphs.remembering(graphs.base(key="bundle-cache", gates="6", steps=10), "EasyCache")
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "bundle-cache", 6)
    here = imported(other, exported(comfy, job_id))
    assert (
        here["exactness"]["kind"] == "recomputes" and here["exactness"]["evaluations"] == here["evaluations"]
    )
    files = list((home(other) / "recordings" / job_id).glob("*/memory-*"))
    assert [file.stem for file in files] == ["memory-000000"]
    got, job = goes_on(other, job_id, "bundle-cache")
    stock = graphs.remembering(graphs.base(watched=False, steps=10), "EasyCache")
    assert torch.equal(got, latent(comfy, comfy.queue(stock)))
    assert "recomputes" in kinds(other, job_id) and "not_as_recorded" not in warnings(job)
    comfy.verb(job_id, "abort")


# -- what is otherwise there -------------------------------------------------------------------------------


def demo(key: str, lora: str | None = None) -> graphs.Graph:
    """A sampler behind a LoRA, which is a file."""
    graph = graphs.base(key=key, gates="4")
    named = {"lora_name": lora, "strength_model": 1.0}
    loaded = graphs.node("LoraLoaderModelOnly", model=["model", 0], **named)
    probe = {**graph["probe"], "inputs": {**graph["probe"]["inputs"], "model": ["lora", 0]}}
    return {**graph, "lora": loaded, "probe": probe}


def put_lora(comfy: Comfy, value: float) -> None:
    place = comfy.base / "models" / "loras"
    place.mkdir(parents=True, exist_ok=True)
    save_file({"nothing.lora_up.weight": torch.full((4, 4), value)}, place / "of-bundles.safetensors")


def test_a_model_that_is_missing_or_another_is_told_and_the_first_evaluation_checked(
    comfy: Comfy, other: Comfy
) -> None:
    put_lora(comfy, 1.0)
    comfy.get("/object_info/LoraLoaderModelOnly")
    job_id = comfy.queue(demo("bundle-lora", "of-bundles.safetensors"))
    pause_at(comfy, job_id, "bundle-lora", 4)
    bundle = exported(comfy, job_id)
    (model,) = job_in(bundle)["surroundings"]["models"]
    assert model["folder"] == "loras" and model["size"] > 0 and len(model["sha256"]) == 64
    here = imported(other, bundle)
    assert codes(here) == ["model_missing"] and not here["imported"]["wants_check"]
    told = here["imported"]["differences"][0]["message"]
    assert "The model loras/of-bundles.safetensors (" in told and model["sha256"][:16] in told
    status, refused = other.verb(job_id, "resume")
    assert (status, refused["error"]["code"]) == (422, "invalid_params")

    put_lora(other, 2.0)
    now = other.until(
        lambda: (job := other.job(job_id)) and codes(job) == ["model"] and job, "the other model"
    )
    assert now["imported"]["wants_check"] and now["imported"]["checked"] is None
    got, job = goes_on(other, job_id, "bundle-lora")
    checked = job["imported"]["checked"]
    assert (
        checked["evaluation"] == 3 and checked["difference"] == 0.0 < checked["largest"]
    )  # of no layer's name
    assert torch.equal(got, expected(comfy)) and job["warnings"] == []
    assert other.probe("bundle-lora")["done"] == 3 + 1
    comfy.verb(job_id, "abort")


def test_a_difference_is_told_in_numbers(comfy: Comfy, other: Comfy) -> None:
    """As of another machine: another torch by its name, and a model that answers otherwise."""
    job_id = start(comfy, "bundle-odd", "4")
    pause_at(comfy, job_id, "bundle-odd", 4)

    def elsewhere(told: dict[str, Any]) -> None:
        told["surroundings"]["values"] |= {"torch": "1.0", "midrun": "0.0.1"}
        told["job"]["prompt"]["model"]["inputs"]["seed"] = 2

    here = imported(other, zipped(sealed(with_job(files_in(exported(comfy, job_id)), elsewhere))))
    assert codes(here) == ["torch", "midrun"] and here["imported"]["wants_check"]
    assert "PyTorch is" in here["imported"]["differences"][0]["message"]
    _, job = goes_on(other, job_id, "bundle-odd")
    checked = job["imported"]["checked"]
    assert checked["evaluation"] == 3 and checked["difference"] > 0.01
    assert f"by {checked['difference']:.3g} at most" in warnings(job)["answers_otherwise"]
    events = other.get(f"/midrun/jobs/{job_id}/events")["events"]
    assert [event["detail"] for event in events if event["kind"] == "verified"] == [checked]
    comfy.verb(job_id, "abort")


def test_where_the_job_was_edited_nothing_is_compared(comfy: Comfy, other: Comfy) -> None:
    job_id = start(comfy, "bundle-unchecked", "4")
    pause_at(comfy, job_id, "bundle-unchecked", 4)
    assert put(comfy, job_id, ("sampler", "cfg", 7.0))[0] == 200

    def elsewhere(told: dict[str, Any]) -> None:
        told["surroundings"]["values"]["torch"] = "1.0"

    here = imported(other, zipped(sealed(with_job(files_in(exported(comfy, job_id)), elsewhere))))
    assert here["imported"]["wants_check"]
    got, job = goes_on(other, job_id, "bundle-unchecked")
    assert job["imported"]["checked"] == {"evaluation": 3, "difference": None, "largest": None}
    assert not job["imported"]["wants_check"] and job["warnings"] == []
    assert other.probe("bundle-unchecked")["done"] == 3
    assert torch.equal(got, goes_on(comfy, job_id, "bundle-unchecked")[0])


def test_another_number_of_threads_is_told_and_checked(comfy: Comfy, tmp_path: Path) -> None:
    two = Comfy(tmp_path, environ={"OMP_NUM_THREADS": "2"})
    two.originals = ()  # a process of its own
    two.start()
    try:
        job_id = start(comfy, "bundle-threads", "4")
        pause_at(comfy, job_id, "bundle-threads", 4)
        here = imported(two, exported(comfy, job_id))
        assert codes(here) == ["threads"] and here["imported"]["wants_check"]
        got, job = goes_on(two, job_id, "bundle-threads")
        checked = job["imported"]["checked"]
        assert checked["evaluation"] == 3 and checked["difference"] <= 0.01 * checked["largest"]
        assert torch.allclose(got, expected(comfy), atol=0.05)
    finally:
        two.stop()
    comfy.verb(job_id, "abort")


def test_a_node_and_an_input_that_are_missing_are_told(comfy: Comfy, other: Comfy) -> None:
    job_id = start(comfy, "bundle-missing", "4")
    pause_at(comfy, job_id, "bundle-missing", 4)

    def elsewhere(told: dict[str, Any]) -> None:
        told["job"]["prompt"]["odd"] = {"class_type": "OddNode", "inputs": {}}
        told["job"]["prompt"]["load"] = {"class_type": "LoadImage", "inputs": {"image": "nowhere.png"}}
        odd = {"name": "Odd-Pack", "version": "1", "nodes": ["OddNode"], "code": None}
        told["surroundings"]["packs"].append(odd)
        told["lost"] = ["nowhere.png"]
        told["signed_in"] = True

    here = imported(other, zipped(sealed(with_job(files_in(exported(comfy, job_id)), elsewhere))))
    assert codes(here) == ["signed_in", "node_pack_missing", "input_missing"]
    messages = [one["message"] for one in here["imported"]["differences"]]
    assert "The node pack Odd-Pack, which has OddNode, is not installed" in messages[1]
    assert "nowhere.png is not in ComfyUI's input folder. The bundle did not carry it." in messages[2]
    other.verb(job_id, "abort")
    comfy.verb(job_id, "abort")


# -- over HTTP ---------------------------------------------------------------------------------------------


def test_no_token_no_client_and_no_path_is_in_a_bundle(comfy: Comfy) -> None:
    tokens = {"auth_token_comfy_org": "sesame-1", "api_key_comfy_org": "sesame-2", "other": "sesame-3"}
    graph = graphs.slow_decode(graphs.base(key="bundle-secret", gates="4"), "bundle-secret", 0)
    job_id = comfy.queue(graph, extra_data=tokens, client_id="the-client-id")
    pause_at(comfy, job_id, "bundle-secret", 4)
    comfy.verb(job_id, "abort", {"reason": "too blue"})
    comfy.until(lambda: "kept" in kinds(comfy, job_id), "the result to be kept")
    bundle = exported(comfy, job_id)
    assert job_in(bundle)["signed_in"] and b'"kept"' in files_in(bundle)["data/job.json"]
    for secret in (b"sesame", b"the-client-id", str(comfy.base).encode(), str(Path.home()).encode() + b"/"):
        assert secret not in bundle


def test_hostile_bundles_leave_nothing_on_a_server(other: Comfy) -> None:
    before = sorted(path for path in home(other).rglob("*") if path.is_file())
    jobs = other.get("/midrun/usage")["jobs"]
    made = list(hostile(a_bundle()))[::9]
    for name, content in made:
        status, told = other.call("POST", "/midrun/jobs/import", content)
        assert (status, told["error"]["code"]) in ((422, "bad_bundle"), (400, "bad_request")), (name, told)
        assert told["error"]["message"].endswith("."), (name, told)
    assert sorted(path for path in home(other).rglob("*") if path.is_file()) == before
    assert other.get("/midrun/usage")["jobs"] == jobs and len(made) > 20
    assert other.call("POST", "/midrun/jobs/import", b"")[0] == 400
    other.post("/api/settings", {"Midrun.BundleSize": 0.001})
    status, told = other.call("POST", "/midrun/jobs/import", bytes(2_000_000))
    other.post("/api/settings", {"Midrun.BundleSize": 20})
    assert (status, told["error"]["code"]) == (413, "too_large") and "0.001 GB" in told["error"]["message"]
    assert other.call("GET", "/midrun/jobs/nobody/bundle")[0] == 404


def test_a_graph_leads_to_no_file_outside_of_comfyuis_folders(comfy: Comfy, other: Comfy) -> None:
    Image.new("RGB", (8, 8)).save(other.base / "secret.png")
    job_id = start(comfy, "bundle-outside", "4")
    pause_at(comfy, job_id, "bundle-outside", 4)

    def elsewhere(told: dict[str, Any]) -> None:
        for name, value in (("a", "../secret.png"), ("b", str(other.base / "secret.png"))):
            node = {"class_type": "LoadImage", "inputs": {"image": value}}
            told["job"]["prompt"][name] = node

    imported(other, zipped(sealed(with_job(files_in(exported(comfy, job_id)), elsewhere))))
    told = job_in(exported(other, job_id))
    assert told["inputs"] == [] and sorted(told["lost"]) == ["../secret.png", str(other.base / "secret.png")]
    for server in (comfy, other):
        server.verb(job_id, "abort")


def test_a_connection_that_is_cut_leaves_nothing(comfy: Comfy, other: Comfy) -> None:
    job_id = start(comfy, "bundle-cut", "4")
    pause_at(comfy, job_id, "bundle-cut", 4)
    bundle = exported(comfy, job_id)
    head = f"POST /midrun/jobs/import HTTP/1.1\r\nHost: x\r\nContent-Length: {len(bundle)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", other.port)) as connection:
        connection.sendall(head.encode() + bundle[: len(bundle) // 2])
        other.until(lambda: list((home(other) / "imports").glob("*")), "the import to begin")
    other.until(lambda: not list((home(other) / "imports").glob("*")), "it to be forgotten")
    assert other.call("GET", f"/midrun/jobs/{job_id}")[0] == 404
    comfy.until(lambda: not list((home(comfy) / "exports").glob("*")), "what was sent to be forgotten")
    comfy.verb(job_id, "abort")


def test_an_imported_job_survives_a_restart_and_tells_what_is_otherwise_then(
    comfy: Comfy, tmp_path: Path
) -> None:
    job_id = start(comfy, "bundle-restart", "4")
    pause_at(comfy, job_id, "bundle-restart", 4)
    server = Comfy(tmp_path).start()
    try:
        before = imported(server, exported(comfy, job_id))
        server.stop()
        server.start()
        after = server.job(job_id)
        assert after["imported"] == before["imported"] and after["state"] == "paused"
        assert after["preview_url"] == before["preview_url"]
        got, _ = goes_on(server, job_id, "bundle-restart")
        assert torch.equal(got, expected(comfy))
    finally:
        server.stop()
    comfy.verb(job_id, "abort")
