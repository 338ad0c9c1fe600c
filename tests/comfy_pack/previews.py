"""The oracle for previews: ComfyUI's own previewers on the latents of the same run; and what stops them."""

import io
import json
import os
import threading
from collections import defaultdict

import comfy.latent_formats
import comfy.model_management as mm
import comfy.patcher_extension
import comfy.sd
import comfy.utils
import folder_paths
import latent_preview
import safetensors.torch
import torch
from aiohttp import web
from comfy.cli_args import LatentPreviewMethod, args
from comfy.taesd.taehv import TAEHV
from comfy.taesd.taesd import TAESD
from server import PromptServer

SEEN = defaultdict(dict)  # key -> step -> (latent format, x0 as the sampler's callback got it)


class ColourlessFormat(comfy.latent_formats.LatentFormat):
    """Neither colours nor a decoder are known for it."""


class RaisingFormat(comfy.latent_formats.SD15):
    """Its colours cannot be made."""

    def __init__(self):
        super().__init__()
        self.latent_rgb_factors_reshape = self.fail

    def fail(self, x0):
        raise RuntimeError("simulated failure of a decoder")


OWN_FORMATS = {kind.__name__: kind for kind in (ColourlessFormat, RaisingFormat)}


class TestReference:
    """Keeps what the sampler's callback is given, under `key`. The answers from evaluation `nan_from` on (0:
    none) are NaN. `latent_format` is the name of one of ComfyUI's, or of one above."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "key": ("STRING", {"default": ""}),
                "nan_from": ("INT", {"default": 0}),
                "latent_format": ("STRING", {"default": ""}),
            }
        }

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "attach"
    CATEGORY = "_for_testing"

    def attach(self, model, key, nan_from, latent_format):
        model = model.clone()
        inner = model.model  # the same for all tests, as ComfyUI caches it
        inner.own_format = getattr(inner, "own_format", inner.latent_format)
        kind = OWN_FORMATS.get(latent_format) or getattr(comfy.latent_formats, latent_format or "SD15")
        inner.latent_format = kind() if latent_format else inner.own_format
        kinds = comfy.patcher_extension.WrappersMP
        count = [0]

        def outer(executor, noise, latent, sampler, sigmas, mask=None, callback=None, *rest, **more):
            shapes = more.get("latent_shapes")

            def noted(step, x0, x, total):
                shown = comfy.utils.unpack_latents(x0, shapes)[0] if shapes and len(shapes) > 1 else x0
                SEEN[key][step + 1] = model.model.latent_format, shown.detach().clone()
                callback(step, x0, x, total)

            return executor(noise, latent, sampler, sigmas, mask, noted, *rest, **more)

        def predict(executor, *rest):
            count[0] += 1
            answer = executor(*rest)
            return answer * float("nan") if 0 < nan_from <= count[0] else answer

        model.add_wrapper(kinds.OUTER_SAMPLE, outer)
        model.add_wrapper(kinds.PREDICT_NOISE, predict)
        return (model,)


class TestVAE:
    """A real VAE object around a tiny autoencoder with seeded weights."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 3})}}

    RETURN_TYPES = ("VAE",)
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    def load(self, seed):
        return (comfy.sd.VAE(sd=_seeded(TAESD(latent_channels=4), seed)),)


def _seeded(module, seed):
    generator = torch.Generator().manual_seed(seed)
    state = module.state_dict()
    for name, tensor in state.items():
        if tensor.ndim > 1:
            state[name] = torch.randn(tensor.shape, generator=generator) / tensor[0].numel() ** 0.5
        elif tensor.ndim:
            state[name] = torch.zeros(tensor.shape)
    return state


routes = PromptServer.instance.routes


@routes.post("/midrun_test/decoder")
async def decoder(request):
    """Put a file under a decoder's name: seeded weights, or what the query says instead of them."""
    name, what = request.query["name"], request.query["what"]
    directory = folder_paths.get_folder_paths("vae_approx")[0]
    os.makedirs(directory, exist_ok=True)
    for file in os.listdir(directory):
        path = os.path.join(directory, file)
        os.rmdir(path) if os.path.isdir(path) else os.remove(path)
    path = os.path.join(directory, f"{name}.safetensors")
    if what == "image":
        channels = int(request.query.get("channels", 4))
        state = _seeded(TAESD(latent_channels=channels).taesd_decoder, 7)
        safetensors.torch.save_file(state, path)
    elif what == "video":
        safetensors.torch.save_file(_seeded(TAEHV(latent_channels=16), 7), path)
    elif what == "garbage":
        with open(path, "wb") as file:
            file.write(b"this is no decoder" * 100)
    elif what == "directory":
        os.mkdir(path)
    return web.json_response({"directory": directory})


@routes.get("/midrun_test/reference")
async def reference(request):
    """ComfyUI's own preview of that step: `image` of the batch, `frame` of a video. PNG."""
    query = request.query
    latent_format, x0 = SEEN[query["key"]][int(query["step"])]
    number, frame = int(query.get("image", 0)), int(query.get("frame", 0))
    x0 = x0[number : number + 1]
    before = args.preview_method
    args.preview_method = LatentPreviewMethod(query["method"])
    try:
        with torch.inference_mode():
            previewer = latent_preview.get_previewer(torch.device("cpu"), latent_format)
            image = previewer.decode_latent_to_preview(x0[:, :, frame : frame + 1] if x0.ndim == 5 else x0)
    finally:
        args.preview_method = before
    content = io.BytesIO()
    image.save(content, "PNG")
    return web.Response(body=content.getvalue(), content_type="image/png")


@routes.post("/midrun_test/raise_flag")
async def raise_flag(request):
    """As another node pack may do it, past ComfyUI's routes."""
    mm.interrupt_current_processing(True)
    return web.json_response({})


@routes.get("/midrun_test/process")
async def process(request):
    """What must not grow: threads, file handles, and the memory that the process has, in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    threads = [thread.name for thread in threading.enumerate()]
    told = {"threads": threads, "handles": len(os.listdir("/proc/self/fd"))}
    told["memory_mb"] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    told["loaded_models"] = sum(model is not None for model in mm.loaded_models())
    return web.Response(text=json.dumps(told), content_type="application/json")


NODES = (TestReference, TestVAE)
