"""The demo model on a real ComfyUI, through stock nodes, and what is to be seen in its pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import graphs
from demo_model.check import look
from demo_model.draw import Scene, draw, random_scene, sentence
from harness import Comfy
from test_editing import put

FULL = bool(os.environ.get("MIDRUN_FULL"))
CAPTIONS, RUNS = (200, 50) if FULL else (12, 5)
LORA = "midrun_demo_hollow.safetensors"
EARLY, LATE = 3, 18  # steps of 20


def workflow(
    text: str, seed: int, strength: float = 0.0, watched: bool = True, **options: Any
) -> graphs.Graph:
    """The first example workflow, with the LoRA in it."""
    given = {"steps": 20, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    return {
        "demo": graphs.node("MidrunDemoModel"),
        "lora": graphs.node(
            "LoraLoaderModelOnly", model=["demo", 0], lora_name=LORA, strength_model=strength
        ),
        "positive": graphs.node("CLIPTextEncode", clip=["demo", 1], text=text),
        "negative": graphs.node("CLIPTextEncode", clip=["demo", 1], text=""),
        "latent": graphs.node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "sampler": graphs.node(
            "MidrunKSampler" if watched else "KSampler",
            model=["lora", 0],
            positive=["positive", 0],
            negative=["negative", 0],
            latent_image=["latent", 0],
            seed=seed,
            **given,
            **options,
        ),
        "decode": graphs.node("VAEDecode", samples=["sampler", 0], vae=["demo", 2]),
        "save": graphs.node("SaveImage", images=["decode", 0], filename_prefix="demo"),
    }


def picture(comfy: Comfy, prompt_id: str) -> np.ndarray:
    with Image.open(comfy.output(prompt_id)) as image:
        return np.asarray(image.convert("RGB"), np.float32) / 255


def scenes(count: int, seed: int) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [random_scene(rng) for _ in range(count)]


@pytest.mark.timeout(1800)
def test_pictures_show_what_the_sentence_says(comfy: Comfy) -> None:
    wanted = scenes(CAPTIONS, 11)
    queued = [
        comfy.queue(workflow(sentence(scene), seed, watched=False)) for seed, scene in enumerate(wanted)
    ]
    found = [look(picture(comfy, prompt_id)) for prompt_id in queued]
    right = [
        (seen.shape, seen.colour) == (scene.shape, scene.colour)
        for seen, scene in zip(found, wanted, strict=True)
    ]
    print(f"{sum(right)} of {len(right)} pictures show the shape and colour that were asked for")
    assert sum(right) >= 0.9 * len(right)
    assert sum(seen.hollow for seen in found) <= 0.1 * len(found)


def plain_scenes(count: int, seed: int) -> list[Scene]:
    """Without outlines: a ring has only one colour."""
    return [replace(scene, outline="") for scene in scenes(count, seed)]


def edited(
    comfy: Comfy, step: int, edit: Callable[[Scene], tuple[str, str, Any]]
) -> list[tuple[Scene, np.ndarray]]:
    """Pictures of jobs that were edited after so many steps."""
    made = []
    for seed, scene in enumerate(plain_scenes(RUNS, 12)):
        job_id = comfy.queue(workflow(sentence(scene), seed, pause_at_step=step))
        comfy.wait_for(job_id, "paused")
        assert put(comfy, job_id, edit(scene))[0] == 200
        comfy.verb(job_id, "resume")
        job = comfy.wait_for(job_id, "completed")
        made.append((scene, picture(comfy, job["prompt_id"])))
    return made


def other_colour(scene: Scene) -> str:
    taken = (scene.colour, scene.ground, scene.outline)
    return next(name for name in ("blue", "red", "green", "yellow") if name not in taken)


def recoloured(scene: Scene) -> tuple[str, str, str]:
    words = sentence(scene).split()
    at = words.index(scene.shape) - 1
    assert words[at] == scene.colour
    return "positive", "text", " ".join([*words[:at], other_colour(scene), *words[at + 1 :]])


def hollowed(scene: Scene) -> tuple[str, str, float]:
    return "lora", "strength_model", 1.0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [EARLY, LATE])
def test_another_colour_is_seen_when_it_comes_early_and_not_when_it_comes_late(
    comfy: Comfy, step: int
) -> None:
    made = edited(comfy, step, recoloured)
    new = sum(look(image).colour == other_colour(scene) for scene, image in made)
    print(f"another colour at step {step}: {new} of {len(made)} have it")
    assert_acts_from(step, new, len(made))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [EARLY, LATE])
def test_the_lora_makes_shapes_hollow_when_it_comes_early_and_not_when_it_comes_late(
    comfy: Comfy, step: int
) -> None:
    rings = [look(image).hollow for _, image in edited(comfy, step, hollowed)]
    print(f"the LoRA at step {step}: {sum(rings)} of {len(rings)} are hollow")
    assert_acts_from(step, sum(rings), len(rings))


def assert_acts_from(step: int, changed: int, of: int) -> None:
    """Of an edit that came after `step` of 20."""
    assert changed >= 0.8 * of if step == EARLY else changed <= 0.2 * of


def test_an_image_goes_through_the_autoencoder_and_back(comfy: Comfy) -> None:
    scene = Scene("star", "red", "white", radius=34.0)
    Image.fromarray((draw(scene) * 255).astype(np.uint8)).save(comfy.base / "input" / "star.png")
    graph = {
        "demo": graphs.node("MidrunDemoModel"),
        "image": graphs.node("LoadImage", image="star.png"),
        "encode": graphs.node("VAEEncode", pixels=["image", 0], vae=["demo", 2]),
        "decode": graphs.node("VAEDecode", samples=["encode", 0], vae=["demo", 2]),
        "save": graphs.node("SaveImage", images=["decode", 0], filename_prefix="demo"),
    }
    seen = look(picture(comfy, comfy.queue(graph)))
    assert (seen.shape, seen.colour, seen.ground) == ("star", "red", "white")


def test_a_guider_of_the_custom_sampler_takes_it(comfy: Comfy) -> None:
    graph = graphs.custom_advanced(workflow("a large green square on a black ground", 3, watched=False))
    graph["schedule"]["inputs"]["model"] = ["lora", 0]
    seen = look(picture(comfy, comfy.queue(graph)))
    assert (seen.shape, seen.colour) == ("square", "green")


def test_previews_by_taesd_come_from_its_own_decoder(comfy: Comfy) -> None:
    text = "a large yellow circle on a purple ground"
    job_id = comfy.queue(workflow(text, 4, preview_method="taesd", pause_at_step=19))
    job = comfy.wait_for(job_id, "paused")
    assert job["previews"]["pause_method"] == "taesd" and job["warnings"] == []
    comfy.until(lambda: comfy.get(f"/midrun/jobs/{job_id}/previews")["previews"], "a preview")
    shown = comfy.base / "preview.webp"
    shown.write_bytes(comfy.fetch(f"/midrun/jobs/{job_id}/preview?step=19")[2])
    with Image.open(shown) as image:
        seen = look(np.asarray(image.convert("RGB").resize((128, 128)), np.float32) / 255)
    assert (seen.shape, seen.colour, seen.ground) == ("circle", "yellow", "purple")
    comfy.verb(job_id, "abort")
