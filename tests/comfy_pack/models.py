"""Tiny models with seeded random weights, and what conditions them."""

import comfy.cldm.cldm
import comfy.controlnet
import comfy.latent_formats
import comfy.model_base
import comfy.model_management as mm
import comfy.model_patcher
import comfy.nested_tensor
import comfy.ops
import comfy.supported_models
import torch

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],  # with fewer channels their norm would take away what the noise level says
    "transformer_depth": [0, 1],  # attention once, where the picture is small: it takes most of the time
    "transformer_depth_output": [0, 0, 0, 0],
    "transformer_depth_middle": -1,  # none
    "num_heads": 4,
    "context_dim": 64,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "legacy": False,
    "dtype": torch.float32,
}
KINDS = ("EPS", "V_PREDICTION", "EDM", "FLOW")


class PackedModel(torch.nn.Module):
    """Answers packed latents, [B, 1, N]: several latents (video and sound, say) in one tensor."""

    def __init__(self, device=None, operations=comfy.ops.disable_weight_init, dtype=torch.float32, **_):
        super().__init__()
        self.dtype = dtype
        self.mix = operations.Conv1d(1, 8, 9, padding=4, device=device, dtype=dtype)
        self.out = operations.Conv1d(8, 1, 9, padding=4, device=device, dtype=dtype)
        self.text = operations.Linear(64, 1, device=device, dtype=dtype)

    def forward(self, x, timesteps, context=None, **_):
        level = (timesteps.float() / 1000.0).reshape(-1, 1, 1).to(x.dtype)
        hidden = torch.tanh(self.mix(x) + level)
        return self.out(hidden) + self.text(context).mean(dim=1, keepdim=True)


def _fill(module, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            if parameter.ndim > 1:
                values = torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5
            else:
                values = torch.full(parameter.shape, 1.0 if name.endswith("weight") else 0.0)
            parameter.copy_(values)


def _patcher(model):
    return comfy.model_patcher.ModelPatcher(
        model, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )


def build_model(kind="EPS", seed=1, unet=UNET, packed=False, video=False):
    config = comfy.supported_models.SD15(dict(unet))
    config.unet_config = dict(unet)
    if video:
        config.latent_format = comfy.latent_formats.Wan21()
    config.sampling_settings = {"shift": 3.0} if kind == "FLOW" else {}
    unet_class = {"unet_model": PackedModel} if packed else {}
    model = comfy.model_base.BaseModel(config, model_type=comfy.model_base.ModelType[kind], **unet_class)
    _fill(model.diffusion_model, seed)
    if packed:
        model.process_latent_in = model.process_latent_out = lambda latent: latent
    return _patcher(model)


class TestModel:
    """`video` takes latents of Wan 2.1's format, for TestProbe's `hollow`: its layers would not."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "kind": (KINDS,),
                "seed": ("INT", {"default": 1}),
                "packed": ("BOOLEAN", {"default": False}),
            },
            "optional": {"video": ("BOOLEAN", {"default": False})},
        }

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    def load(self, kind, seed, packed, video=False):
        return (build_model(kind, seed, packed=packed, video=video),)


class TestConditioning:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0})}}

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"
    CATEGORY = "_for_testing"

    def encode(self, seed):
        generator = torch.Generator().manual_seed(seed)
        return ([[torch.randn((1, 77, 64), generator=generator), {}]],)


class TestLatent:
    """A latent of noise-free content, seeded; `second` makes it two latents that are sampled together."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "seed": ("INT", {"default": 0}),
                "size": ("INT", {"default": 16}),
                "batch": ("INT", {"default": 1}),
                "empty": ("BOOLEAN", {"default": True}),
                "masked": ("BOOLEAN", {"default": False}),
                "second": ("BOOLEAN", {"default": False}),
            }
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    def make(self, seed, size, batch, empty, masked, second):
        generator = torch.Generator().manual_seed(seed)
        shape = (batch, 4, size, size)
        samples = torch.zeros(shape) if empty else torch.randn(shape, generator=generator)
        latent = {"samples": samples}
        if masked:
            mask = torch.zeros((1, 1, size * 8, size * 8))
            mask[..., : size * 4] = 1.0
            latent["noise_mask"] = mask
        if second:
            latent["samples"] = comfy.nested_tensor.NestedTensor((samples, torch.zeros((batch, 2, 10))))
        return (latent,)


class TestVideoLatent:
    """An empty latent of Wan 2.1: 16 channels, one frame for the first picture and for each four after it."""

    @classmethod
    def INPUT_TYPES(cls):
        sizes = {"frames": 81, "width": 832, "height": 480}
        return {"required": {name: ("INT", {"default": default}) for name, default in sizes.items()}}

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    def make(self, frames, width, height):
        return ({"samples": torch.zeros((1, 16, (frames - 1) // 4 + 1, height // 8, width // 8))},)


class TestUnpack:
    """The two latents of a nested one as a single ordinary latent, so that SaveLatent can write it."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"samples": ("LATENT",)}}

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "unpack"
    CATEGORY = "_for_testing"

    def unpack(self, samples):
        parts = samples["samples"].unbind()
        return ({"samples": torch.cat([part.reshape(part.shape[0], 1, 1, -1) for part in parts], dim=-1)},)


class TestControlNet:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 3})}}

    RETURN_TYPES = ("CONTROL_NET",)
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    def load(self, seed):
        config = {
            name: value
            for name, value in UNET.items()
            if name not in ("out_channels", "transformer_depth_output")
        }
        model = comfy.cldm.cldm.ControlNet(
            hint_channels=3, operations=comfy.ops.disable_weight_init, device=None, **config
        )
        _fill(model, seed)
        return (comfy.controlnet.ControlNet(model, load_device=mm.get_torch_device()),)


class TestHint:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"size": ("INT", {"default": 128})}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "draw"
    CATEGORY = "_for_testing"

    def draw(self, size):
        ramp = torch.linspace(0, 1, size)
        return (
            torch.stack([ramp.expand(size, size), ramp.expand(size, size).T, ramp.expand(size, size)], -1)[
                None
            ],
        )


NODES = (TestModel, TestConditioning, TestLatent, TestVideoLatent, TestUnpack, TestControlNet, TestHint)
