"""The demo model's files as ComfyUI's own objects. ComfyUI's worker thread; downloads nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import comfy.taesd.taesd
import comfy.utils
import folder_paths
import torch

HOME = Path(__file__).resolve().parents[2] / "demo_model"
WEIGHTS = HOME / "midrun_demo.safetensors"
DECODER_NAME = "midrun_demo_decoder"  # latent_preview looks for a vae_approx file whose name begins so
DECODER = HOME / "vae_approx" / f"{DECODER_NAME}.safetensors"
LATENT_SCALE = 0.18215  # SD1.5's

# SD1.5's UNet, smaller. ComfyUI's group norms have 32 groups: 64 is the least that keeps a flat colour.
UNET: dict[str, Any] = {
    "image_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 1],
    "transformer_depth": [0, 1],
    "transformer_depth_output": [0, 0, 1, 1],
    "transformer_depth_middle": 1,
    "num_heads": 4,
    "context_dim": 64,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "legacy": False,
    "dtype": torch.float32,
}
# CLIP-L's text model, smaller; what is not here is as in comfy/sd1_clip_config.json.
TEXT = {"hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4, "num_hidden_layers": 2}


COLOURS = [
    [0.0359, -0.2507, -0.4978],
    [-0.4744, 0.0997, 0.2068],
    [-0.2559, -0.4043, 0.4233],
    [-0.0495, -0.0694, -0.3564],
]
COLOURS_BIAS = [0.174, -0.0569, -0.1581]


class Loaded(NamedTuple):
    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE


class DemoLatent(comfy.latent_formats.SD15):
    """SD1.5's latents with previews of their own, so that a user's TAESD files are never taken for them."""

    def __init__(self) -> None:
        super().__init__()
        self.taesd_decoder_name = DECODER_NAME
        self.latent_rgb_factors = COLOURS  # fitted by tools/demo_model/train.py
        self.latent_rgb_factors_bias = COLOURS_BIAS


class DemoConfig(comfy.supported_models.SD15):
    latent_format = DemoLatent


def register_folders() -> None:
    """Let ComfyUI's own nodes find the LoRA, and its previews the decoder. At import time."""
    for folder in ("loras", "vae_approx"):
        folder_paths.add_model_folder_path(folder, str(HOME / folder))


def load() -> Loaded:
    """From the files in `demo_model/`.

    Raises FileNotFoundError when one is missing.
    """
    weights = comfy.utils.load_torch_file(str(WEIGHTS), safe_load=True)
    parts = {
        name: comfy.utils.state_dict_prefix_replace(weights, {name + ".": ""}, filter_keys=True)
        for name in ("unet", "text", "encoder")
    }
    decoder = comfy.utils.load_torch_file(str(DECODER), safe_load=True)
    return Loaded(_model(parts["unet"]), _clip(parts["text"]), _vae(parts["encoder"], decoder))


def unet_config() -> DemoConfig:
    config = DemoConfig(UNET)
    config.unet_config = dict(UNET)  # SD15 would set the number of heads to its own
    return config


def _model(unet: dict[str, torch.Tensor]) -> comfy.model_patcher.ModelPatcher:
    model = comfy.model_base.BaseModel(unet_config(), model_type=comfy.model_base.ModelType.EPS)
    model.diffusion_model.load_state_dict(unet)
    return comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def _clip(text: dict[str, torch.Tensor]) -> comfy.sd.CLIP:
    """`text`: the text model, with `tokens` [N] and `rows` [1 + N, C] in place of the token embedding.

    The first row stands for every token that is not in `tokens`.
    """
    target = comfy.supported_models_base.ClipTarget(comfy.sd1_clip.SD1Tokenizer, comfy.sd1_clip.SD1ClipModel)
    clip = comfy.sd.CLIP(target, model_options={"clip_l_model_config": TEXT})
    tokens, rows = text.pop("tokens"), text.pop("rows")
    transformer = clip.cond_stage_model.clip_l.transformer
    table = rows[:1].repeat(transformer.get_input_embeddings().weight.shape[0], 1)
    table[tokens.long()] = rows[1:]
    transformer.load_state_dict({**text, "text_model.embeddings.token_embedding.weight": table}, strict=False)
    return clip


def _vae(encoder: dict[str, torch.Tensor], decoder: dict[str, torch.Tensor]) -> comfy.sd.VAE:
    """ComfyUI recognises a TAESD by its keys. The encoder's file leaves out what is zero."""
    whole = comfy.taesd.taesd.Encoder().state_dict()
    weights = {f"taesd_encoder.{name}": value for name, value in widened(encoder, whole).items()}
    weights |= {f"taesd_decoder.{name}": value for name, value in decoder.items()}
    weights |= {"vae_scale": torch.tensor(LATENT_SCALE), "vae_shift": torch.tensor(0.0)}
    return comfy.sd.VAE(sd=weights)


def widened(narrow: dict[str, torch.Tensor], whole: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The narrow weights in the corners of zeros that are shaped as in `whole`."""
    zeros = {name: torch.zeros_like(value) for name, value in whole.items()}
    for name, value in narrow.items():
        zeros[name][tuple(slice(size) for size in value.shape)] = value
    return zeros
