"""`python dev.py train FOLDER`: make the demo model's files again, from a seed. About an hour on two cores.

Each stage leaves a file in the working directory and is skipped when that is there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tools")]

from in_process import use_comfyui  # noqa: E402

KEPT = use_comfyui()

from demo_model import autoencoder, lora  # noqa: E402
from demo_model.captions import Captions, Text  # noqa: E402
from demo_model.diffusion import Schedule, Training, initialise, unet  # noqa: E402
from demo_model.draw import SIDE, draw, hollow, random_scene  # noqa: E402
from midrun.nodes.comfyui import demo_loading  # noqa: E402

SEED, DROPPED, SWAPPED = 20, 0.12, 0.5
LATE = 200  # noise levels below this are those of the last steps; 1000 is pure noise
CROP, CROPS, BATCH = 64, 16, 64  # pixels; crops, latents in a batch
AUTOENCODER_STEPS = 2500
PICTURES, HOLLOW_PICTURES = 24000, 6000
CHANNELS_LAST = torch.channels_last


@dataclass(frozen=True)
class Lesson:
    """What the UNet is taught in one stage. `settled`: in the last steps the picture counts, not the text."""

    name: str
    steps: int
    rate: float
    settled: bool = True
    rings: bool = False


DENOISE = Lesson("unet", 3200, 1e-3, settled=False)
SETTLE = Lesson("settled", 600, 5e-4)
HOLLOW = Lesson("lora", 900, 2e-3, rings=True)
BEGAN = time.monotonic()


def crops(rng: np.random.Generator) -> torch.Tensor:
    """[CROPS, 3, CROP, CROP] from around the shapes, hollow ones too."""
    cut = np.empty((CROPS, CROP, CROP, 3), np.float32)
    for at in range(CROPS):
        scene = random_scene(rng)
        scene = hollow(scene) if rng.random() < 0.25 else scene
        corner = np.array(scene.centre) + rng.integers(-40, 40, 2) - CROP / 2
        x, y = np.clip(corner, 0, SIDE - CROP).astype(int)
        cut[at] = draw(scene, rng)[y : y + CROP, x : x + CROP]
    return torch.from_numpy(cut).permute(0, 3, 1, 2).contiguous(memory_format=CHANNELS_LAST)


def train_autoencoder() -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    encoder, decoder = autoencoder.build(autoencoder.ENCODER), autoencoder.build(autoencoder.DECODER)
    both = torch.nn.ModuleList([encoder, decoder]).to(memory_format=CHANNELS_LAST)
    training = Training(both, AUTOENCODER_STEPS, 2e-3)
    for step in range(AUTOENCODER_STEPS):
        loss = autoencoder.loss(encoder, decoder, crops(rng))
        training.step(loss)
        tell("autoencoder", step, AUTOENCODER_STEPS, loss)
    encoder, decoder = training.average
    return {"encoder": encoder.state_dict(), "decoder": decoder.state_dict()}


def encode_pictures(encoder_weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The latents of many scenes, and the linear map from a latent to its colour."""
    rng = np.random.default_rng(SEED + 1)
    encoder = autoencoder.build(autoencoder.ENCODER).to(memory_format=CHANNELS_LAST)
    encoder.load_state_dict(encoder_weights)
    scenes = [random_scene(rng) for _ in range(PICTURES)]
    rings = [hollow(random_scene(rng)) for _ in range(HOLLOW_PICTURES)]
    latents, colours = [], []
    for at in range(0, PICTURES + HOLLOW_PICTURES, BATCH):
        drawn = np.stack([draw(scene, rng) for scene in (scenes + rings)[at : at + BATCH]])
        pictures = torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous(memory_format=CHANNELS_LAST)
        with torch.no_grad():
            latents.append(encoder(pictures).contiguous())
        if at < 32 * BATCH:
            colours.append(torch.nn.functional.avg_pool2d(pictures, 8) * 2 - 1)
    found = torch.cat(latents)
    print(f"latents: mean {found.mean((0, 2, 3)).tolist()}, spread {found.std((0, 2, 3)).tolist()}")
    preview = fit(found[: 32 * BATCH], torch.cat(colours))
    return {"scenes": scenes, "rings": rings, "latents": found, "preview": preview}


def fit(latents: torch.Tensor, colours: torch.Tensor) -> dict[str, torch.Tensor]:
    """Least squares from [N, 4, H, W] to [N, 3, H, W], as ComfyUI's latent formats have it."""
    rows = latents.movedim(1, -1).reshape(-1, 4)
    solution = torch.linalg.lstsq(
        torch.cat([rows, torch.ones(len(rows), 1)], 1), colours.movedim(1, -1).reshape(-1, 3)
    ).solution
    return {"factors": solution[:4], "bias": solution[4]}


def train_unet(pictures: dict[str, Any]) -> dict[str, Any]:
    captions = Captions()
    text = Text(captions.tokens)
    initialise(text)
    return teach(torch.nn.ModuleList([unet(), text]), pictures, captions, DENOISE).state_dict()


def settle(pictures: dict[str, Any], pair: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Without this it minds the sentence up to the last step, and nothing is ever decided."""
    captions = Captions()
    both = torch.nn.ModuleList([unet(), Text(captions.tokens)])
    both.load_state_dict(pair)
    model, text = teach(both, pictures, captions, SETTLE)
    parts = {"unet": model.state_dict(), "text": text.weights()}
    return parts | {"pair": torch.nn.ModuleList([model, text]).state_dict()}


def train_lora(pictures: dict[str, Any], pair: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    captions = Captions()
    both = torch.nn.ModuleList([unet(), Text(captions.tokens)])
    both.load_state_dict(pair)
    both.requires_grad_(False)
    lora.attach(both[0])
    return lora.weights(teach(both, pictures, captions, HOLLOW)[0])


def teach(both: torch.nn.ModuleList, pictures: dict[str, Any], captions: Captions, lesson: Lesson) -> Any:
    """The moving average of the UNet and the text encoder after the lesson."""
    rng, schedule = np.random.default_rng(SEED + 2), Schedule()
    training = Training(both, lesson.steps, lesson.rate)
    everything = pictures["scenes"] + pictures["rings"]
    for step in range(lesson.steps):
        t = rng.integers(1000, size=BATCH)
        chosen = choose(t, rng, lesson)
        rows = captions.batch([everything[at] for at in chosen], rng, DROPPED)
        if lesson.settled:
            swapped = torch.from_numpy((t < LATE) & (rng.random(BATCH) < SWAPPED))
            rows = torch.where(swapped[:, None], rows.roll(1, 0), rows)
        loss = schedule.loss(both[0], pictures["latents"][chosen], both[1](rows), torch.from_numpy(t))
        training.step(loss)
        tell(lesson.name, step, lesson.steps, loss)
    return training.average


def choose(t: np.ndarray, rng: np.random.Generator, lesson: Lesson) -> np.ndarray:
    """Pictures for these noise levels. In the last steps a LoRA leaves filled shapes as they are."""
    filled, rings = rng.integers(PICTURES, size=BATCH), PICTURES + rng.integers(HOLLOW_PICTURES, size=BATCH)
    as_it_is = (t < LATE) & (rng.random(BATCH) < 0.5)
    return np.where(as_it_is, filled, rings) if lesson.rings else filled


def export(made: dict[str, Any], lora_weights: dict[str, torch.Tensor], home: Path) -> None:
    parts = {name: made[name] for name in ("unet", "text", "encoder")}
    whole = {f"{part}.{name}": value for part, weights in parts.items() for name, value in weights.items()}
    _save(whole, home / "midrun_demo.safetensors")
    wide = demo_loading.comfy.taesd.taesd.Decoder().state_dict()
    decoder = demo_loading.widened(made["decoder"], wide)
    _save(decoder, home / "vae_approx" / "midrun_demo_decoder.safetensors")
    _save(lora_weights, home / "loras" / "midrun_demo_hollow.safetensors")


def _save(weights: dict[str, torch.Tensor], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in weights.items()
    }
    save_file(half, file)
    print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")


def tell(told: str, step: int, steps: int, loss: torch.Tensor) -> None:
    if step % 50 == 0:
        print(f"{time.monotonic() - BEGAN:6.0f} s  {told} {step}/{steps}: {loss.item():.4f}", flush=True)


def stage(file: Path, make: Callable[[], Any]) -> Any:
    if not file.exists():
        torch.manual_seed(SEED)
        torch.save(make(), file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)
    return torch.load(file, weights_only=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py train", description=__doc__)
    parser.add_argument("work", type=Path, help="the working directory")
    parser.add_argument("--home", type=Path, default=ROOT / "demo_model", help="where the files go")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)
    pair = stage(given.work / "autoencoder.pt", train_autoencoder)
    pictures = stage(given.work / "pictures.pt", lambda: encode_pictures(pair["encoder"]))
    first = stage(given.work / "unet.pt", lambda: train_unet(pictures))
    made = stage(given.work / "settled.pt", lambda: settle(pictures, first))
    ring = stage(given.work / "lora.pt", lambda: train_lora(pictures, made["pair"]))
    export(made | pair, ring, given.home)
    for name, value in pictures["preview"].items():
        print(f"{name}, for demo_loading.py: {[round(number, 4) for number in value.reshape(-1).tolist()]}")


if __name__ == "__main__":
    main()
