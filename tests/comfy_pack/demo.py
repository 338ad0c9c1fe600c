"""The demo model without Midrun, to compare with."""

import importlib.util
from pathlib import Path

LOADING = Path(__file__).resolve().parents[2] / "nodes" / "comfyui" / "demo_loading.py"


class TestDemoModel:
    """What Midrun Demo Model gives, also on a server that does not have it."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    def load(self):
        spec = importlib.util.spec_from_file_location("midrun_demo_loading", LOADING)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return tuple(module.load())


NODES = (TestDemoModel,)
