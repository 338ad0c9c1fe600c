"""What makes a model answer otherwise from one day to the next: another file, threads, a pack's new patch."""

import folder_paths
import safetensors.torch
import torch

from .probes import OPENED


class TestFileEncoder:
    """A conditioning of what a file in the folder of text encoders holds."""

    @classmethod
    def INPUT_TYPES(cls):
        names = folder_paths.get_filename_list("text_encoders")
        return {"required": {"name": (names,), "seed": ("INT", {"default": 0})}}

    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"
    CATEGORY = "_for_testing"

    def encode(self, name, seed):
        weight = safetensors.torch.load_file(folder_paths.get_full_path("text_encoders", name))["weight"]
        generator = torch.Generator().manual_seed(seed)
        return ([[torch.randn((1, 77, 64), generator=generator) * weight, {}]],)


class TestToday:
    """Passes a model on; with a patch of its answers once `patched` is open under `key`, and with two threads
    of torch once `threads` is."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "key": ("STRING", {"default": ""})}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "_for_testing"

    def patch(self, model, key):
        torch.set_num_threads(2 if "threads" in OPENED[key] else 1)
        if "patched" not in OPENED[key]:
            return (model,)
        patched = model.clone()
        patched.set_model_sampler_post_cfg_function(sharper)
        return (patched,)


def sharper(args):
    return args["denoised"] * 1.01


NODES = (TestFileEncoder, TestToday)
