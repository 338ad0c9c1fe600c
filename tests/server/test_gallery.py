"""What is given out of a job: the source, full quality, caching; what is told, stored and survives."""

from __future__ import annotations

import json
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import websocket
from PIL import Image

import graphs
from harness import Comfy
from test_previews import (
    assert_same,
    decoder,
    ended,
    image,
    noted,
    paused,
    previews,
    reference,
    step_url,
    studio,
)

__all__ = ["studio"]  # a fixture


def picture_file(comfy: Comfy, name: str, size: tuple[int, int] = (128, 128)) -> Image.Image:
    made = Image.linear_gradient("L").resize(size).convert("RGB")
    made.putpixel((3, 3), (255, 0, 0))
    directory = comfy.base / "input"
    directory.mkdir(exist_ok=True)
    made.save(directory / name)
    return made


def img2img(comfy: Comfy, key: str, encoder: str = "VAEEncode", **options: Any) -> graphs.Graph:
    picture_file(comfy, f"{key}.png")
    given = {"denoise": 0.6, "pause_at_step": 3, "queue_policy": "hold"} | options
    return graphs.image_to_image(graphs.base(key=key, **given), f"{key}.png", encoder)


# -- the source ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["VAEEncode", "VAEEncodeForInpaint"])
def test_the_source_is_the_picture_that_load_image_fed_in(studio: Comfy, encoder: str) -> None:
    decoder(studio, "nothing")
    job = paused(studio, img2img(studio, f"source-{encoder}", encoder))
    shown = image(studio, job["source_url"])
    assert_same(shown, Image.open(studio.base / "input" / f"source-{encoder}.png"))
    assert "kind=source" in job["source_url"]
    assert [one["method"] for one in previews(studio, job) if one["kind"] == "source"] == ["original"]
    ended(studio, job)


def test_without_a_picture_in_the_graph_the_source_is_its_latent(studio: Comfy) -> None:
    decoder(studio, "nothing")
    job = paused(studio, noted("source-latent", latent={"empty": False}))
    shown = image(studio, job["source_url"])
    assert shown.size == (16, 16)
    assert [one["method"] for one in previews(studio, job) if one["kind"] == "source"] == ["latent2rgb"]
    ended(studio, job)


@pytest.mark.parametrize("empty", [False, True])
def test_a_job_that_ended_still_tells_whether_it_began_from_something(studio: Comfy, empty: bool) -> None:
    job = paused(studio, noted(f"source-kept-{empty}", latent={"empty": empty}))
    ended(studio, job)
    assert (studio.job(job["job_id"])["source_url"] is None) == empty


def test_the_source_of_what_began_from_nothing_is_its_first_step(studio: Comfy) -> None:
    decoder(studio, "nothing")
    job = paused(studio, noted("source-none"))
    assert job["source_url"] is None, "there is nothing to show beside it"
    url = f"/midrun/jobs/{job['job_id']}/preview?kind=source"
    assert_same(image(studio, url), reference(studio, "source-none", 1, "latent2rgb"))
    ended(studio, job)


def test_a_picture_from_elsewhere_on_the_disk_is_not_given_out(studio: Comfy) -> None:
    secret = studio.base / "secret.png"
    picture_file(studio, "plain.png").save(secret)
    graph = graphs.image_to_image(graphs.base(key="outside", pause_at_step=2, denoise=0.6), "../secret.png")
    job_id = studio.post("/prompt", {"prompt": graph}, expect=(200, 400)).get("prompt_id")
    if job_id is None:
        return  # that ComfyUI refuses it itself
    job = studio.wait_for(job_id, "paused", "failed")
    assert [one for one in previews(studio, job) if one["method"] == "original"] == []
    status, _, _ = studio.fetch(f"/midrun/jobs/{job_id}/preview?kind=source")
    assert [one for one in previews(studio, job) if one["method"] == "original"] == [], status
    studio.verb(job_id, "abort")


# -- full quality --------------------------------------------------------------------------------------


def test_full_quality_is_a_decode_by_the_workflow_s_own_vae(studio: Comfy) -> None:
    job = paused(studio, img2img(studio, "full"))
    full = image(studio, step_url(job, 3, quality="full"))
    assert full.size == (128, 128)
    assert studio.get("/midrun_test/process")["loaded_models"] == 0
    assert studio.job(job["job_id"])["held"]
    again = image(studio, step_url(job, 3, quality="full"))
    assert_same(full, again)
    job = ended(studio, job)
    assert studio.wait_ended(job["job_id"])["outputs"]["save"]["images"]


def test_a_job_that_was_looked_at_in_full_goes_on_to_the_same_picture(studio: Comfy) -> None:
    def result(look: bool) -> Image.Image:
        graph = img2img(studio, f"same-{look}", sampler="dpmpp_2m_sde")
        job = paused(studio, graph)
        if look:
            image(studio, step_url(job, 2, quality="full"))
        return Image.open(studio.output(ended(studio, job)["job_id"]))

    assert_same(result(True), result(False))


def test_full_quality_is_refused_with_a_sentence(studio: Comfy) -> None:
    job_id = studio.queue(graphs.base(key="full-running", gates="3"))
    studio.wait_at_gate("full-running", 3)
    running = studio.call("GET", f"/midrun/jobs/{job_id}/preview?quality=full")
    studio.open_gate("full-running", 3)
    studio.wait_for(job_id, "completed")
    over = studio.call("GET", f"/midrun/jobs/{job_id}/preview?quality=full")
    job = paused(studio, graphs.base(key="full-none", pause_at_step=2, queue_policy="hold"))
    without = studio.call("GET", step_url(job, 2, quality="full"))
    ended(studio, job)
    parked = paused(studio, img2img(studio, "full-parked", queue_policy="park"))
    gone = studio.call("GET", step_url(parked, 3, quality="full"))
    studio.verb(parked["job_id"], "abort")
    for (status, refused), told in (
        (running, "it is running. Pause it first."),
        (over, "it is completed."),
        (without, "none of its workflow's VAEs is loaded yet"),
        (gone, "it has made way for other prompts"),
    ):
        assert (status, refused["error"]["code"]) == (409, "illegal_transition")
        assert (
            told in refused["error"]["message"] and "Cannot fully decode job" in refused["error"]["message"]
        )


def test_a_cancel_while_it_is_held_still_cancels_after_a_full_decode(studio: Comfy) -> None:
    job = paused(studio, img2img(studio, "full-cancel"))
    image(studio, step_url(job, 3, quality="full"))
    studio.post("/interrupt", {"prompt_id": job["job_id"]})
    assert studio.wait_for(job["job_id"], "aborted")["abort_reason"] == "cancelled in ComfyUI"


# -- HTTP ----------------------------------------------------------------------------------------------


def test_the_url_of_a_picture_may_be_kept_for_ever_and_the_newest_may_not(studio: Comfy) -> None:
    decoder(studio, "nothing")
    job = paused(studio, noted("caching"))
    status, kept, content = studio.fetch(job["preview_url"])
    assert status == 200 and kept["Content-Type"] == "image/webp"
    assert kept["Cache-Control"] == "private, max-age=31536000, immutable"
    assert (kept["Midrun-Step"], kept["Midrun-Label"]) == ("4", "Intermediate Preview")
    newest = f"/midrun/jobs/{job['job_id']}/preview"
    status, headers, same = studio.fetch(newest)
    assert (status, same, headers["Cache-Control"]) == (200, content, "private, no-cache")
    status, headers, nothing = studio.fetch(newest, {"If-None-Match": headers["ETag"]})
    assert (status, nothing) == (304, b"")
    assert studio.fetch(newest, {"If-None-Match": '"other"'})[0] == 200
    decoder(studio, "image")  # a better picture of the step takes its place
    better = studio.fetch(step_url(job, 4))
    assert better[1]["ETag"] != kept["ETag"]
    assert studio.fetch(job["preview_url"])[1]["Cache-Control"] == "private, no-cache"
    ended(studio, job)


@pytest.mark.parametrize(
    "query",
    [
        "step=0",
        "step=-1",
        "step=x",
        "kind=all",
        "quality=best",
        "still=maybe",
        "path=/etc/passwd",
        "step=1e9",
    ],
)
def test_a_picture_that_cannot_be_understood_is_400(studio: Comfy, query: str) -> None:
    job_id = studio.queue(graphs.base(key=f"bad-{query}", steps=1))
    status, refused = studio.call("GET", f"/midrun/jobs/{job_id}/preview?{query}")
    assert (status, refused["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "node_id", ["../other", "..%2F..%2Fmidrun.db", "%00", "sampler%2F..%2Fsampler", "x" * 500]
)
def test_a_node_id_is_never_a_path(studio: Comfy, node_id: str) -> None:
    job_id = studio.queue(graphs.base(key="path", steps=1))
    studio.wait_for(job_id, "completed")
    for more in ("", "&step=1", "&kind=source"):
        status, refused = studio.call("GET", f"/midrun/jobs/{job_id}/preview?node_id={node_id}{more}")
        assert (status, refused["error"]["code"]) == (404, "no_preview")


def test_a_step_that_is_not_done_is_404(studio: Comfy) -> None:
    job = paused(studio, noted("too-early"))
    status, refused = studio.call("GET", step_url(job, 5))
    assert (status, refused["error"]["code"]) == (404, "no_preview")
    ended(studio, job)


# -- told, stored --------------------------------------------------------------------------------------


def test_a_picture_is_told_as_an_event_and_shown_inside_the_node(studio: Comfy) -> None:
    decoder(studio, "nothing")
    mine, deaf = (
        websocket.create_connection(f"ws://127.0.0.1:{studio.port}/ws?clientId={name}", timeout=30)
        for name in ("viewer", "deaf")
    )
    mine.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
    graph = graphs.base(key="told", pause_at_step=4, preview={"every": 1})
    job_id = studio.queue(graph, client_id="viewer")
    events: list[dict[str, Any]] = []
    pictures: list[tuple[dict[str, Any], bytes]] = []
    while not any(metadata["step"] == 4 for metadata, _ in pictures):
        message = mine.recv()
        if isinstance(message, str):
            told = json.loads(message)
            events += [told["data"]] if is_preview_of(told, job_id) else []
        elif struct.unpack(">I", message[:4])[0] == 4:
            length = struct.unpack(">I", message[4:8])[0]
            pictures.append((json.loads(message[8 : 8 + length]), message[8 + length :]))
    assert {event["label"] for event in events} == {"Intermediate Preview"}
    for metadata, content in pictures:
        assert (metadata["node_id"], metadata["display_node_id"]) == ("sampler", "sampler")
        assert (metadata["prompt_id"], metadata["label"]) == (job_id, "Intermediate Preview")
        assert content[:2] == b"\xff\xd8"  # JPEG
    deaf.settimeout(0.2)
    with pytest.raises(websocket.WebSocketTimeoutException):
        while True:
            message = deaf.recv()
            assert isinstance(message, str) and not is_preview_of(json.loads(message), job_id)
    mine.close()
    deaf.close()
    studio.verb(job_id, "abort")


def is_preview_of(told: dict[str, Any], job_id: str) -> bool:
    """Of a job that no page queued, every page is told."""
    return told["type"] == "midrun.preview" and told["data"]["job_id"] == job_id


def test_pictures_outlive_the_abort_and_the_recording_and_go_with_the_job(studio: Comfy) -> None:
    decoder(studio, "nothing")
    job = paused(studio, noted("outlives"))
    before = image(studio, job["preview_url"])
    studio.verb(job["job_id"], "abort")
    studio.until(lambda: not studio.get("/queue")["queue_running"], "the worker to be free")
    for place in (studio.base / "user" / "__midrun" / "recordings").iterdir():
        if place.name == job["job_id"]:
            for file in place.rglob("*.safetensors"):
                file.unlink()
    again = studio.job(job["job_id"])
    assert again["preview_url"] == job["preview_url"]
    assert_same(image(studio, again["preview_url"]), before)
    assert previews(studio, again)[-1]["step"] == 4
    place = studio.base / "user" / "__midrun" / "previews" / job["job_id"]
    assert place.is_dir()
    path = f"/midrun/jobs/{job['job_id']}"
    studio.until(lambda: studio.call("DELETE", path)[0] == 204, "the job to be deleted")
    studio.until(lambda: not place.exists(), "its pictures to be deleted")


def test_pictures_outlive_a_crash_of_the_server(tmp_path: Path) -> None:
    with_pictures = Comfy(tmp_path).start()
    try:
        job = paused(with_pictures, noted("crash"))
        told, before = previews(with_pictures, job), image(with_pictures, job["preview_url"])
        with_pictures.kill()
        again = Comfy(tmp_path).start()
        try:
            found = again.job(job["job_id"])
            assert (found["state"], found["preview_url"]) == ("paused", job["preview_url"])
            assert previews(again, found) == told
            assert_same(image(again, found["preview_url"]), before)
            assert image(again, step_url(found, 2))  # from the recording
        finally:
            again.stop()
    finally:
        with_pictures.stop()


# -- never in the sampler's way ------------------------------------------------------------------------


def test_a_decode_takes_no_interrupt_that_is_meant_for_the_sampler(studio: Comfy) -> None:
    decoder(studio, "image")
    probe = {"hollow": True}
    options = {"steps": 8, "pause_at_step": 6, "queue_policy": "hold", "latent": {"size": 64}, "probe": probe}
    job = paused(studio, graphs.base(key="interrupt", **options))
    with ThreadPoolExecutor() as pool:  # each layer of these decodes could take what comes now
        asked = [pool.submit(studio.fetch, step_url(job, step)) for step in range(1, 6)]
        studio.until(lambda: any(one.done() for one in asked), "a decode")
        studio.post("/midrun_test/raise_flag")
        assert studio.wait_for(job["job_id"], "aborted", timeout=30)
        assert {one.result()[0] for one in asked} == {200}


@pytest.mark.timeout(600)
def test_two_thousand_steps_leak_nothing(studio: Comfy) -> None:
    decoder(studio, "image")

    def run(steps: int) -> dict[str, Any]:
        options = {"steps": steps, "latent": {"size": 32}, "probe": {"hollow": True, "seconds": 0.002}}
        job_id = studio.queue(
            graphs.base(key=f"long-{steps}-{time.monotonic()}", preview={"every": 1}, **options)
        )
        studio.wait_for(job_id, "completed", timeout=300)
        listed = studio.get(f"/midrun/jobs/{job_id}/previews")["previews"]
        assert 10 < len(listed) <= 400
        return studio.get("/midrun_test/process")

    # A client that shows pictures and stopped reading: ComfyUI keeps for it whatever it is sent.
    stalled = websocket.create_connection(f"ws://127.0.0.1:{studio.port}/ws?clientId=stalled", timeout=30)
    stalled.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
    run(300)  # what is allocated once
    before, after = run(300), run(2000)
    stalled.close()
    assert after["threads"].count("midrun-preview") == 1
    assert after["handles"] <= before["handles"] + 2
    assert after["memory_mb"] - before["memory_mb"] < 60
