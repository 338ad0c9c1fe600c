"""Previews of every kind of latent over HTTP, against ComfyUI's own previewers; and decoders that fail."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

import graphs
from harness import Comfy

HOLLOW = {"hollow": True}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server whose tiny decoders the tests change; by default there is none."""
    server = Comfy(tmp_path_factory.mktemp("studio")).start()
    yield server
    server.stop()


def decoder(comfy: Comfy, what: str, name: str = "taesd_decoder", channels: int = 4) -> None:
    comfy.post(f"/midrun_test/decoder?name={name}&what={what}&channels={channels}")


def paused(comfy: Comfy, graph: graphs.Graph) -> dict[str, Any]:
    """The job, paused and previewed where it stopped."""
    job_id = comfy.queue(graph)
    step = comfy.wait_for(job_id, "paused")["step"]

    def shown() -> dict[str, Any] | None:
        job = comfy.job(job_id)
        return job if f"&step={step}&" in (job["preview_url"] or "") and settled(comfy, job) else None

    return comfy.until(shown, f"a preview of step {step}")


def settled(comfy: Comfy, job: dict[str, Any]) -> bool:
    """Whether the newest picture is made as one at a pause is."""
    newest = max(previews(comfy, job), key=lambda preview: preview["step"])
    return newest["method"] in (job["previews"]["pause_method"], "none") or newest["reason"] is not None


def previews(comfy: Comfy, job: dict[str, Any]) -> list[dict[str, Any]]:
    return comfy.get(f"/midrun/jobs/{job['job_id']}/previews")["previews"]


def ended(comfy: Comfy, job: dict[str, Any]) -> dict[str, Any]:
    comfy.verb(job["job_id"], "resume")
    return comfy.wait_for(job["job_id"], "completed")


def image(comfy: Comfy, path: str) -> Image.Image:
    status, _, content = comfy.fetch(path)
    assert status == 200, content
    return Image.open(io.BytesIO(content))


def step_url(job: dict[str, Any], step: int, **query: Any) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/midrun/jobs/{job['job_id']}/preview?step={step}{more}"


def reference(comfy: Comfy, key: str, step: int, method: str, **query: int) -> Image.Image:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return image(comfy, f"/midrun_test/reference?key={key}&step={step}&method={method}{more}")


def assert_same(one: Image.Image, other: Image.Image) -> None:
    assert one.size == other.size
    assert ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox() is None


def cell(whole: Image.Image, number: int, columns: int, size: tuple[int, int]) -> Image.Image:
    left, top = number % columns * size[0], number // columns * size[1]
    return whole.crop((left, top, left + size[0], top + size[1]))


def noted(key: str, pause_at_step: int = 4, latent_format: str = "", **options: Any) -> graphs.Graph:
    graph = graphs.base(key=key, pause_at_step=pause_at_step, **options)
    return graphs.noted(graph, key, latent_format=latent_format)


# -- the same pixels as ComfyUI's ----------------------------------------------------------------------


@pytest.mark.parametrize("latent", [{}, {"masked": True, "empty": False}], ids=["txt2img", "inpaint"])
def test_every_step_has_the_colours_that_comfyui_gives_it(studio: Comfy, latent: dict[str, Any]) -> None:
    decoder(studio, "nothing")
    key = f"colours-{len(latent)}"
    job = paused(studio, noted(key, latent=latent))
    for step in (1, 2, 3, 4):
        assert_same(image(studio, step_url(job, step)), reference(studio, key, step, "latent2rgb"))
    assert job["previews"]["method"] == "latent2rgb"
    ended(studio, job)


@pytest.mark.parametrize("sampler", ["euler", "heun", "uni_pc", "dpmpp_2m_sde"])
def test_taesd_decodes_the_pixels_that_comfyui_decodes(studio: Comfy, sampler: str) -> None:
    decoder(studio, "image")
    job = paused(studio, noted(f"taesd-{sampler}", sampler=sampler))
    assert (job["previews"]["method"], job["previews"]["pause_method"]) == ("latent2rgb", "taesd")
    assert "CPU" in job["previews"]["reason"] or "processor" in job["previews"]["reason"]
    for step in (4, 2):
        assert_same(image(studio, step_url(job, step)), reference(studio, f"taesd-{sampler}", step, "taesd"))
    assert previews(studio, job)[-1]["method"] == "taesd"
    ended(studio, job)


@pytest.mark.parametrize("method", ["latent2rgb", "taesd"])
def test_a_batch_is_a_grid(studio: Comfy, method: str) -> None:
    decoder(studio, "image")
    key = f"batch-{method}"
    job = paused(studio, noted(key, latent={"batch": 4, "empty": False}, preview={"method": method}))
    whole = image(studio, step_url(job, 4))
    for number in range(4):
        single = reference(studio, key, 4, method, image=number)
        assert_same(cell(whole, number, 2, single.size), single)
    (newest,) = [preview for preview in previews(studio, job) if preview["step"] == 4]
    assert (newest["width"], newest["height"], newest["frames"]) == (*whole.size, 1)
    ended(studio, job)


def test_a_flow_model_s_latent_with_sixteen_channels(studio: Comfy) -> None:
    decoder(studio, "image", "taef1_decoder", 16)
    job = paused(studio, noted("flow", latent_format="Flux", kind="FLOW", probe=HOLLOW))
    assert_same(image(studio, job["preview_url"]), reference(studio, "flow", 4, "taesd"))
    assert_same(image(studio, step_url(job, 3)), reference(studio, "flow", 3, "taesd"))
    ended(studio, job)


def test_of_packed_latents_the_first_is_shown(studio: Comfy) -> None:
    decoder(studio, "nothing")
    graph = graphs.packed(graphs.base(key="packed", pause_at_step=4))
    job = paused(studio, graphs.noted(graph, "packed"))
    assert_same(image(studio, job["preview_url"]), reference(studio, "packed", 4, "latent2rgb"))
    ended(studio, job)


@pytest.mark.parametrize("method", ["latent2rgb", "taesd"])
def test_a_video_moves_and_has_a_still_of_its_middle(studio: Comfy, method: str) -> None:
    decoder(studio, "video", "lighttaew2_1")
    key = f"video-{method}"
    graph = graphs.base(key=key, pause_at_step=2, probe=HOLLOW, preview={"method": method})
    job = paused(studio, graphs.noted(graphs.video(graph, 17, 64, 64), key))
    moving = image(studio, job["preview_url"])
    (told,) = [preview for preview in previews(studio, job) if preview["step"] == 2]
    assert told["frames"] == moving.n_frames == (5 if method == "latent2rgb" else 17)
    assert told["still_url"] == told["url"] + "&still=true"
    still = image(studio, told["still_url"])
    if method == "latent2rgb":
        for frame in range(5):
            moving.seek(frame)
            assert_same(moving, reference(studio, key, 2, method, frame=frame))
    else:
        moving.seek(0)  # ComfyUI shows the first alone, and the decoder looks only at what was before
        assert_same(moving, reference(studio, key, 2, method))
    moving.seek(told["frames"] // 2)
    assert_same(moving, still)
    ended(studio, job)


# -- what goes wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["garbage", "directory", "nothing"])
def test_a_decoder_that_is_none_is_told_and_harms_nobody(studio: Comfy, what: str) -> None:
    decoder(studio, what)
    key = f"decoder-{what}"
    job = paused(studio, noted(key, preview={"method": "taesd"}))
    assert_same(image(studio, job["preview_url"]), reference(studio, key, 4, "latent2rgb"))
    told = {warning["code"]: warning["message"] for warning in job["warnings"]}
    if what == "garbage":
        assert "taesd_decoder.safetensors cannot be used" in told["preview_decoder_unusable"]
    else:
        assert "taesd_decoder.safetensors (or .pth) belongs in" in told["preview_decoder_missing"]
        assert "vae_approx" in told["preview_decoder_missing"]
    assert job["previews"]["reason"]
    assert ended(studio, job)["state"] == "completed"


def test_a_decoder_of_another_model_is_told(studio: Comfy) -> None:
    decoder(studio, "image", channels=16)
    job = paused(studio, noted("decoder-other"))
    assert "preview_decoder_unusable" in [warning["code"] for warning in job["warnings"]]
    ended(studio, job)


def test_a_model_that_nobody_can_show_says_so(studio: Comfy) -> None:
    job = paused(studio, noted("colourless", latent_format="ColourlessFormat"))
    shown = previews(studio, job)[-1]
    assert shown["method"] == "none" and shown["reason"].startswith("No preview for this model: no colours")
    assert image(studio, job["preview_url"]).size == (shown["width"], shown["height"])
    ended(studio, job)


def test_a_decoder_that_raises_harms_nobody(studio: Comfy) -> None:
    job = paused(studio, noted("raising", latent_format="RaisingFormat"))
    assert "simulated failure of a decoder" in previews(studio, job)[-1]["reason"]
    assert image(studio, job["preview_url"])
    assert ended(studio, job)["state"] == "completed"


def test_settings_say_what_a_node_leaves_at_its_default(studio: Comfy) -> None:
    decoder(studio, "image")
    wished = {"Midrun.PreviewMethod": "latent2rgb", "Midrun.PreviewEvery": 2, "Midrun.PreviewMaxSize": 64}
    default = {"Midrun.PreviewMethod": "auto", "Midrun.PreviewEvery": 0, "Midrun.PreviewMaxSize": 512}
    studio.post("/settings", wished | {"Midrun.QueuePolicy": "park"})
    try:
        latent = {"size": 128}
        graph = graphs.base(key="wished", pause_at_step=5, latent=latent, probe={"hollow": True})
        job = paused(studio, graph)
        assert (job["previews"]["pause_method"], job["previews"]["every"]) == ("latent2rgb", 2)
        assert {one["width"] for one in previews(studio, job)} == {64}
        studio.until(lambda: studio.job(job["job_id"])["held"] is False, "the job to make way")
        ended(studio, job)
        own = {"method": "taesd", "every": 1, "max_size": 128}
        graph = graphs.base(key="own", pause_at_step=5, queue_policy="hold", preview=own)
        job = paused(studio, graph)
        assert job["held"] and job["previews"]["pause_method"] == "taesd" and job["previews"]["every"] == 1
        ended(studio, job)
    finally:
        studio.post("/settings", default | {"Midrun.QueuePolicy": "auto"})


def test_a_latent_of_nan_says_so_and_the_job_goes_on(studio: Comfy) -> None:
    graph = graphs.base(key="nan", pause_at_step=4)
    studio.post("/settings", {"Midrun.PauseOnNaN": False})
    try:
        job = paused(studio, graphs.noted(graph, "nan", nan_from=3))
    finally:
        studio.post("/settings", {"Midrun.PauseOnNaN": True})
    shown = previews(studio, job)[-1]
    assert shown["reason"] == "100% of this latent is not a number (NaN or infinite)."
    assert "nan_latent" in [warning["code"] for warning in job["warnings"]]
    colours = image(studio, job["preview_url"]).convert("RGB").getcolors()
    assert colours is not None and len(colours) == 2
    assert ended(studio, job)["state"] == "completed"


def test_without_previews_there_is_none(studio: Comfy) -> None:
    job_id = studio.queue(noted("off", preview={"method": "none"}))
    job = studio.wait_for(job_id, "paused")
    assert previews(studio, job) == [] and job["preview_url"] is None
    assert job["previews"]["method"] == "none"
    status, refused = studio.call("GET", step_url(job, 2))
    assert (status, refused["error"]["code"]) == (404, "no_preview")
    ended(studio, job)


def test_a_pause_s_better_picture_is_not_replaced_when_the_job_goes_on(studio: Comfy) -> None:
    decoder(studio, "image")
    job = paused(studio, noted("goes-on", pause_at_step=3, preview={"every": 1}))
    ended(studio, job)

    def methods() -> dict[int, str]:
        return {preview["step"]: preview["method"] for preview in previews(studio, job)}

    studio.until(lambda: 6 in methods(), "a preview of the last step")
    assert methods()[3] == "taesd" and methods()[6] == "latent2rgb"
