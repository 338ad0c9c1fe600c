"""Nodes around diffusers: its Stable Diffusion pipeline with a tiny UNet, and a loop over a tiny DiT."""

import inspect

import diffusers
import torch

from .loops import Count, Gate

TINY_UNET = {
    "sample_size": 8,
    "layers_per_block": 1,
    "block_out_channels": (32, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
    "norm_num_groups": 8,
}
TINY_VAE = {
    "block_out_channels": (8, 8, 8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "norm_num_groups": 8,
    "latent_channels": 4,
}
TINY_DIT = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 2,
    "sample_size": 8,
    "patch_size": 2,
    "num_embeds_ada_norm": 10,
    "activation_fn": "gelu-approximate",
}
SCHEDULERS = {
    "unipc": ("UniPCMultistepScheduler", {}),
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++ sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "euler a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "ddim v": ("DDIMScheduler", {"prediction_type": "v_prediction", "clip_sample": False}),
    "unipc flow": (
        "UniPCMultistepScheduler",
        {"prediction_type": "flow_prediction", "use_flow_sigmas": True},
    ),
    "backwards": ("DDIMScheduler", {"clip_sample": False}),
    "dpm sde": ("DPMSolverSDEScheduler", {}),
}


class TestPipeline:
    """A pipeline on a wire of its own type."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "kind": (["unet", "dit"],),
                "key": ("STRING", {"default": ""}),
                "gates": ("STRING", {"default": ""}),
                "compiled": ("BOOLEAN", {"default": False}),
            }
        }

    RETURN_TYPES = ("TEST_PIPELINE",)
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    def load(self, kind, key, gates, compiled):
        torch.manual_seed(7)
        gate, count = Gate(key, gates, 0), Count(key)
        if kind == "dit":
            network = diffusers.DiTTransformer2DModel(**TINY_DIT)
            network.pos_embed = torch.nn.Sequential(gate, network.pos_embed)
            network.proj_out_2 = torch.nn.Sequential(network.proj_out_2, count)
            return (network.eval(),)
        network = diffusers.UNet2DConditionModel(**TINY_UNET)
        network.conv_in = torch.nn.Sequential(gate, network.conv_in)
        network.conv_out = torch.nn.Sequential(network.conv_out, count)
        parts = ("text_encoder", "tokenizer", "safety_checker", "feature_extractor")
        nothing = dict.fromkeys(parts) | {"requires_safety_checker": False}
        scheduler = diffusers.DDIMScheduler(clip_sample=False, steps_offset=1)
        made = {"unet": network.eval(), "vae": diffusers.AutoencoderKL(**TINY_VAE), "scheduler": scheduler}
        pipeline = diffusers.StableDiffusionPipeline(**made, **nothing)
        if compiled:
            pipeline.unet = torch.compile(pipeline.unet, backend="eager")
        return (pipeline,)


class TestPipelineSampler:
    """Samples with it as packs around diffusers do; it never looks at ComfyUI's interrupt."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "pipeline": ("TEST_PIPELINE",),
                "scheduler": (list(SCHEDULERS),),
                "words": ("FLOAT", {"default": 1.0}),
                "seed": ("INT", {"default": 0}),
                "steps": ("INT", {"default": 6}),
                "guidance_scale": ("FLOAT", {"default": 3.0}),
                "rescale": ("FLOAT", {"default": 0.0}),
            },
            "optional": {
                "other_scale": ("FLOAT", {"default": 0.0}),
                "from_step": ("INT", {"default": 0}),
            },
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "_for_testing"

    def sample(
        self,
        pipeline,
        scheduler,
        words,
        seed,
        steps,
        guidance_scale,
        rescale,
        other_scale=0.0,
        from_step=0,
    ):
        """`other_scale` after so many steps: what an edit comes to."""

        def stepped(running, step, time, tensors):
            if other_scale and step + 1 == from_step:
                running._guidance_scale = other_scale
            return tensors

        kind, options = SCHEDULERS[scheduler]
        made = getattr(diffusers, kind)(**options)
        generator = torch.Generator().manual_seed(seed)
        if isinstance(pipeline, torch.nn.Module):
            last = made.config.num_train_timesteps - 1 if scheduler == "backwards" else 0
            return ({"samples": self._dit(pipeline, made, generator, words, steps, last)},)
        pipeline.scheduler = made
        pipeline.set_progress_bar_config(disable=True)
        embeds = torch.randn(2, 1, 3, 32, generator=torch.Generator().manual_seed(1)) * words
        samples = pipeline(
            prompt_embeds=embeds[0],
            negative_prompt_embeds=embeds[1],
            height=64,
            width=64,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            guidance_rescale=rescale,
            callback_on_step_end=stepped,
            generator=generator,
            output_type="latent",
        ).images
        return ({"samples": samples},)

    def _dit(self, network, scheduler, generator, words, steps, last):
        """last: the time step from which the network counts; 0: it counts as the scheduler does"""
        scheduler.set_timesteps(steps)
        x = torch.randn(1, 4, 8, 8, generator=generator) * scheduler.init_noise_sigma
        label = torch.tensor([int(words) % 10])
        draws = "generator" in inspect.signature(scheduler.step).parameters
        given = {"generator": generator} if draws else {}
        for t in scheduler.timesteps:
            scaled = scheduler.scale_model_input(x, t)
            noise = network(scaled, timestep=abs(last - t).expand(1), class_labels=label).sample
            x = scheduler.step(noise, t, x, **given).prev_sample
        return x


NODES = (TestPipeline, TestPipelineSampler)
