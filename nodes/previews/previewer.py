"""From a latent to a picture, whatever happens: by the method that is wanted, else the next best, else a
neutral picture that says why. The preview thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import comfy.model_management as mm
import torch

from ...state.pictures.previews import Method
from ..comfyui.latents import restore, unpacked
from .decoders import Images, Missing, NoDecoder, TinyDecoders, Unusable, evenly, latent2rgb
from .pictures import Picture, bounded, card, grid, pattern

log = logging.getLogger(__name__)
MOST_FRAMES = 48  # of an animation
LIVE_FRAMES_S = 0.25  # that decoding one for a running job may take; then it has fewer frames
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Made:
    """A picture, the method that made it, and why it was no better one. finite: whether the latent was."""

    picture: Picture
    method: str
    reason: str | None = None
    finite: bool = True


@dataclass(frozen=True)
class Best:
    """The best method at hand for a kind of latent, and why it is not TAESD where it is not.

    missing: the file that TAESD lacks and its place; broken: what is wrong with the one it has
    """

    method: Method
    reason: str | None = None
    missing: str | None = None
    broken: str | None = None


class Previewer:
    """Holds a tiny decoder and, on CUDA, a stream of its own."""

    def __init__(self) -> None:
        self._tiny = TinyDecoders()
        self._stream: Any = None
        self._lock = threading.Lock()  # the decoder is not moved while it decodes

    @property
    def live_device(self) -> torch.device | None:
        """A device whose decoding does not compete with the sampler for a processor, or None."""
        device = mm.get_torch_device()
        return device if device.type == "cuda" else None

    def make(
        self,
        latent: torch.Tensor,
        described: dict[str, Any],
        wanted: Method,
        max_size: int,
        frames: int = MOST_FRAMES,
        device: torch.device | None = None,
    ) -> Made:
        """latent: the model's, on the CPU; [B, C, H, W], [B, C, T, H, W], or [B, 1, N] where some are packed.

        max_size: pixels of the longer side of the picture; frames: at most; device: None is the CPU
        """
        try:
            x0 = unpacked(latent, described).to(torch.float32)
            latent_format = restore(described)
            told = _not_finite(x0)
            if told is not None:
                return Made(pattern((x0.shape[-1], x0.shape[-2]), told), Method.NONE.value, told, False)
        except Exception as error:  # noqa: BLE001  latent formats of other packs may raise anything
            return _nothing(f"its latent cannot be read: {error}")
        made = self._made(x0, latent_format, wanted, frames, device or CPU)
        return replace(made, picture=_bounded(made.picture, max_size))

    def best(self, described: dict[str, Any]) -> Best:
        try:
            self._tiny.find(restore(described))
        except Missing as error:
            return Best(Method.LATENT2RGB, f"The TAESD decoder is missing: {error}.", missing=str(error))
        except NoDecoder as error:
            return Best(Method.LATENT2RGB, f"No TAESD: {error}.")
        except (Unusable, OSError) as error:
            return Best(Method.LATENT2RGB, f"No TAESD: {error}.", broken=str(error))
        return Best(Method.TAESD)

    def rest(self) -> None:
        """Leave the GPU; waits for a decode that is going on."""
        with self._lock:
            self._tiny.rest()

    def _made(
        self, x0: torch.Tensor, latent_format: Any, wanted: Method, frames: int, device: torch.device
    ) -> Made:
        reasons: list[str] = []
        tries: dict[Method, Callable[[], Images]] = {
            Method.TAESD: lambda: self._decode_tiny(x0, latent_format, device),
            Method.LATENT2RGB: lambda: latent2rgb(x0, latent_format, frames),
        }
        if wanted is Method.LATENT2RGB:
            del tries[Method.TAESD]
        for method, decode in tries.items():
            try:
                picture = put_together(decode(), frames)
                return Made(picture, method.value, reasons[0] if reasons else None)
            except (Missing, Unusable) as error:
                reasons.append(str(error))
            except mm.InterruptProcessingException:
                raise  # the preview thread hands it on
            except Exception as error:  # noqa: BLE001  a decoder must never harm the job
                log.warning("Midrun: a preview by %s failed: %s", method.value, error)
                reasons.append(f"{method.value} failed: {error}")
        return _nothing(reasons[-1])

    def _decode_tiny(self, x0: torch.Tensor, latent_format: Any, device: torch.device) -> Images:
        tiny = self._tiny.find(latent_format)
        with self._lock, self._beside_the_sampler(device):
            return tiny(x0, device)

    def _beside_the_sampler(self, device: torch.device) -> Any:
        """A stream of its own. What it reads is on the host already, so there is nothing to wait for."""
        if device.type != "cuda":
            return nullcontext()
        if self._stream is None:
            self._stream = torch.cuda.Stream(device)
        return torch.cuda.stream(self._stream)


def put_together(images: Images, most: int) -> Picture:
    """images: of each image of the batch, its frames."""
    chosen = evenly(len(images[0]), most)
    frames = [grid([image[index] for image in images]) for index in chosen]
    return Picture(frames, chosen.index(len(images[0]) // 2))


def _bounded(picture: Picture, max_size: int) -> Picture:
    return replace(picture, frames=[bounded(frame, max_size) for frame in picture.frames])


def _not_finite(x0: torch.Tensor) -> str | None:
    finite = torch.isfinite(x0)
    if bool(finite.all()):
        return None
    share = 100.0 * float((~finite).float().mean())
    return f"{share:.3g}% of this latent is not a number (NaN or infinite)."


def _nothing(because: str) -> Made:
    told = f"No preview for this model: {because.rstrip('.')}."
    return Made(card(told), Method.NONE.value, told)
