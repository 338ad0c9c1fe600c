"""A third-party node that puts others in its place while it runs, which sample."""

import comfy.samplers
from comfy_execution.graph_utils import GraphBuilder


class TestExpanding:
    """Two KSamplers in series; the second begins with what the first made.

    `shown_as`: the node of the workflow that they are to be shown as, in the place of this one."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "seed": ("INT", {"default": 0}),
                "steps": ("INT", {"default": 6}),
                "cfg": ("FLOAT", {"default": 4.0}),
                "sampler_name": (comfy.samplers.KSampler.SAMPLERS,),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "latent_image": ("LATENT",),
            },
            "optional": {"shown_as": ("STRING", {"default": ""})},
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "expand"
    CATEGORY = "_for_testing"

    def expand(self, model, latent_image, seed, shown_as="", **given):
        graph = GraphBuilder()
        given |= {"model": model, "scheduler": "normal", "denoise": 0.7}
        for number in range(2):
            node = graph.node("KSampler", latent_image=latent_image, seed=seed + number, **given)
            if shown_as:
                node.set_override_display_id(shown_as)
            latent_image = node.out(0)
        return {"result": (latent_image,), "expand": graph.finalize()}


NODES = (TestExpanding,)
