"""A sampler node that catches ComfyUI's interrupt, as some packs do, odd objects, and lists of latents."""

import nodes
import torch


class TestStubborn:
    """Samples; when that is interrupted it samples once more (`again`), or carries on with nothing."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("MODEL",),
                "seed": ("INT", {"default": 0}),
                "steps": ("INT", {"default": 6}),
                "positive": ("CONDITIONING",),
                "negative": ("CONDITIONING",),
                "latent_image": ("LATENT",),
                "again": ("BOOLEAN", {"default": False}),
            }
        }

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "_for_testing"

    def sample(self, model, seed, steps, positive, negative, latent_image, again):
        def once():
            args = (seed, steps, 4.0, "euler", "normal", positive, negative, latent_image)
            return nodes.common_ksampler(model, *args)

        try:
            return once()
        except BaseException:  # noqa: BLE001  as packs do it
            return once() if again else ({"samples": torch.zeros_like(latent_image["samples"])},)


class TestStubbornEnd(TestStubborn):
    """The same at the end of a workflow, where nothing comes after it."""

    RETURN_TYPES = ()
    OUTPUT_NODE = True

    def sample(self, **given):
        super().sample(**given)
        return ()


class _Odd:
    """Answers with an error that nobody expects, where one asks whether it is a tensor or a model."""

    def __getattr__(self, name):
        if name in ("to", "model", "is_nested"):
            raise RuntimeError(f"nobody may ask for {name}")
        raise AttributeError(name)


class TestOdd:
    """What other packs may put on a wire: such an object, or one in the place of a latent's tensor."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"inside": ("BOOLEAN", {"default": False})}}

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    def make(self, inside):
        return ({"samples": _Odd()} if inside else _Odd(),)


class TestLatents:
    """Three latents, for each of which the nodes behind this run once."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seed": ("INT", {"default": 0})}}

    RETURN_TYPES = ("LATENT",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    def make(self, seed):
        generators = [torch.Generator().manual_seed(seed + number) for number in range(3)]
        return ([{"samples": torch.randn(1, 4, 16, 16, generator=one)} for one in generators],)


NODES = (TestStubborn, TestStubbornEnd, TestOdd, TestLatents)
