"""Models of the real architectures and sizes, with random weights that are made on the spot; or tiny ones.

Of the real sizes ComfyUI gets a state dict, as from a file: it detects what that is, and loads it.
"""

import inspect

import comfy.ldm.flux.model
import comfy.model_base
import comfy.model_detection
import comfy.model_management as mm
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import torch
from aiohttp import web
from server import PromptServer

UNET = {
    "use_checkpoint": False,
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "use_spatial_transformer": True,
    "legacy": False,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
SD15 = UNET | {
    "adm_in_channels": None,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2, 2],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "channel_mult": [1, 2, 4, 4],
    "use_linear_in_transformer": False,
    "context_dim": 768,
    "num_heads": 8,
}
SDXL = UNET | {
    "num_classes": "sequential",
    "adm_in_channels": 2816,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "transformer_depth_middle": 10,
    "channel_mult": [1, 2, 4],
    "use_linear_in_transformer": True,
    "context_dim": 2048,
    "num_head_channels": 64,
}
FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "hidden_size": 3072,
    "mlp_ratio": 4.0,
    "num_heads": 24,
    "depth": 19,
    "depth_single_blocks": 38,
    "axes_dim": [16, 56, 56],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}
WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "dim": 1536,
    "ffn_dim": 8960,
    "num_heads": 12,
    "num_layers": 30,
    "in_dim": 16,
    "out_dim": 16,
    "text_dim": 4096,
    "freq_dim": 256,
    "patch_size": (1, 2, 2),
    "window_size": (-1, -1),
    "qk_norm": True,
    "cross_attn_norm": True,
    "eps": 1e-6,
}
TINY = {  # what is otherwise; the rest of the architecture is the same
    "sd15": {"model_channels": 32, "num_res_blocks": [1, 1], "channel_mult": [1, 2], "context_dim": 64}
    | {"transformer_depth": [1, 1], "transformer_depth_output": [1, 1, 1, 1], "num_heads": 4},
    "sdxl": {"model_channels": 32, "num_res_blocks": [1, 1], "channel_mult": [1, 2], "context_dim": 64}
    | {"transformer_depth": [0, 2], "transformer_depth_output": [0, 0, 2, 2]}
    | {"transformer_depth_middle": 2, "num_head_channels": 16},
    "flux": {"hidden_size": 64, "num_heads": 2, "depth": 1, "depth_single_blocks": 1, "axes_dim": [8, 12, 12]}
    | {"context_in_dim": 48, "vec_in_dim": 40},
    "wan": {"dim": 64, "ffn_dim": 96, "num_heads": 2, "num_layers": 2, "text_dim": 48},
}
THIN = {  # as many layers, of hardly any width: what a thread has to give a device, and nothing to compute
    "sd15": {"model_channels": 32, "context_dim": 64},
    "sdxl": {"model_channels": 32, "context_dim": 64, "num_head_channels": 16},
}
# Latents of 512x512, 1024x1024, and 81 frames of 832x480; and tiny ones.
LATENTS = {
    "sd15": ((1, 4, 64, 64), (1, 4, 8, 8)),
    "sdxl": ((1, 4, 128, 128), (1, 4, 8, 8)),
    "flux": ((1, 16, 128, 128), (1, 16, 8, 8)),
    "wan": ((1, 16, 21, 60, 104), (1, 16, 2, 8, 8)),
}
TOKENS = {"sd15": 77, "sdxl": 77, "flux": 256, "wan": 512}
CONFIGS = {"sd15": SD15, "sdxl": SDXL, "flux": FLUX, "wan": WAN}
KINDS = {"sd15": "SD15", "sdxl": "SDXL", "flux": "Flux", "wan": "WAN21_T2V"}
DTYPES = {
    "sd15": torch.float16,
    "sdxl": torch.float16,
    "flux": torch.bfloat16,
    "wan": torch.bfloat16,
}
NAMED = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}
SIZES = ("real", "tiny", "thin")


def config_of(name, size):
    """As ComfyUI's detection makes it, of a tiny or thin one too."""
    smaller = {"tiny": TINY, "thin": THIN}
    known = CONFIGS[name] | (smaller[size][name] if size in smaller else {})
    if name == "flux":
        names = inspect.signature(comfy.ldm.flux.model.FluxParams).parameters.keys() | {"image_model"}
        known = {key: value for key, value in known.items() if key in names}
    return known


def empty_model(name, size, dtype, device):
    """Of ComfyUI's own class for it, with weights of no particular value."""
    config = getattr(comfy.supported_models, KINDS[name])(config_of(name, size))
    config.set_inference_dtype(dtype, mm.unet_manual_cast(dtype, mm.get_torch_device(), [torch.float32]))
    return config.get_model({}, "", device=device)


def random_weights(shapes, dtype, seed):
    """Of these names and shapes, made on the device, kept on the host."""
    device = mm.get_torch_device()
    generator = torch.Generator(device).manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            made = torch.randn(shape, generator=generator, device=device) / (shape[1:].numel() ** 0.5)
        else:
            made = torch.full(shape, float(name.endswith(("weight", "scale"))), device=device)
        weights[name] = made.to(dtype).cpu()
    return weights


def build(name, size, dtype, seed):
    dtype = NAMED.get(dtype, DTYPES[name])
    shapes = {key: value.shape for key, value in _shapes(name, size).items()}
    weights = random_weights(shapes, dtype, seed)
    if size == "real":
        return comfy.sd.load_diffusion_model_state_dict(weights, model_options={"dtype": dtype})
    model = empty_model(name, size, dtype, mm.unet_offload_device())
    model.load_model_weights(weights, "")
    patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    return patcher(model, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device())


def _shapes(name, size):
    model = empty_model(name, size, torch.float32, torch.device("meta"))
    return model.diffusion_model.state_dict()


def detected(name):
    """What ComfyUI takes a state dict of that size for, and how many weights there are."""
    weights = _shapes(name, "real")
    config = comfy.model_detection.model_config_from_unet(weights, "")
    return type(config).__name__, sum(one.numel() for one in weights.values())


class TestArchitecture:
    """A model, two conditionings and an empty latent that fit together.

    dtype "": as people use it; shape: of the latent, with commas; "": the usual one
    stays: ComfyUI unloads it to where it is, as with --highvram
    """

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "architecture": (tuple(CONFIGS),),
                "size": (SIZES,),
                "dtype": (("", *NAMED),),
                "seed": ("INT", {"default": 1}),
                "shape": ("STRING", {"default": ""}),
                "stays": ("BOOLEAN", {"default": False}),
            }
        }

    RETURN_TYPES = ("MODEL", "CONDITIONING", "CONDITIONING", "LATENT")
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    def make(self, architecture, size, dtype, seed, shape, stays):
        model = build(architecture, size, dtype, seed)
        if stays:
            model.offload_device = mm.get_torch_device()
        usual = LATENTS[architecture][size == "tiny"]
        shape = tuple(map(int, shape.split(","))) if shape else usual
        conds = [conditioning(config_of(architecture, size), TOKENS[architecture], seed + n) for n in (1, 2)]
        return (model, *conds, {"samples": torch.zeros(shape)})


def conditioning(config, tokens, seed):
    generator = torch.Generator().manual_seed(seed)
    width = next(config[key] for key in ("context_dim", "context_in_dim", "text_dim") if key in config)
    pooled = config.get("vec_in_dim", 1280)
    given = {"pooled_output": torch.randn((1, pooled), generator=generator)}
    return [[torch.randn((1, tokens, width), generator=generator), given]]


@PromptServer.instance.routes.get("/midrun_test/detected")
async def detected_architectures(request):
    """What ComfyUI takes state dicts of the real sizes for, and how many weights they have."""
    return web.json_response({name: detected(name) for name in CONFIGS})


NODES = (TestArchitecture,)
