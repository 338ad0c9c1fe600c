"""The example workflows run on a fresh install as they are, and ComfyUI's template browser can show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import examples
import graphs
from demo_model.check import Seen, look
from harness import Comfy

RESULTS = {
    "Pause and edit": Seen("yellow", "circle", "red"),
    "Any sampler": Seen("purple", "star", "green"),
    "Image to image with a source": Seen("blue", "star", "red"),
}


def output_of(comfy: Comfy, prompt: graphs.Graph, prompt_id: str) -> Path:
    return comfy.output(prompt_id, next(key for key in prompt if prompt[key]["class_type"] == "SaveImage"))


@pytest.mark.parametrize("name", RESULTS)
def test_an_example_pauses_resumes_and_draws_its_sentence(comfy: Comfy, name: str) -> None:
    prompt = examples.as_prompt(comfy, examples.saved(name))
    job_id = comfy.queue(prompt)
    job = comfy.wait_for(job_id, "paused")
    assert job["step"] in (6, 8) and job["total_steps"] == 20 and job["warnings"] == []
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    with Image.open(output_of(comfy, prompt, job["prompt_id"])) as image:
        assert look(np.asarray(image.convert("RGB"), np.float32) / 255) == RESULTS[name]
    if name == "Image to image with a source":
        status, _, content = comfy.fetch(job["source_url"])
        assert status == 200 and content


def test_comfyui_offers_the_examples_and_their_pictures(comfy: Comfy) -> None:
    offered = comfy.get("/api/workflow_templates")["ComfyUI-Midrun"]
    assert sorted(offered) == sorted(RESULTS)
    for name in RESULTS:
        path = f"/api/workflow_templates/ComfyUI-Midrun/{name.replace(' ', '%20')}"
        assert comfy.call("GET", path + ".json")[0] == comfy.fetch(path + ".jpg")[0] == 200
