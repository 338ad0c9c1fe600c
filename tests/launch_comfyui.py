"""Runs a ComfyUI tree's main.py: `python launch_comfyui.py <tree> [main.py arguments...]`.

Beside a CPU build of torch, torchvision's wheel lacks two operators and fails to import; ComfyUI imports it
at start-up. Where that is so, their schemas are defined first. Where torchvision works, nothing is done.
"""

import importlib
import os
import runpy
import sys


def mend_torchvision():
    """The library that holds the missing schemas, to be kept alive, or None."""
    try:
        importlib.import_module("torchvision")
        return None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    torch = importlib.import_module("torch")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


if __name__ == "__main__":
    tree, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    library = mend_torchvision()
    os.chdir(tree)
    sys.path[0] = tree
    sys.argv[0] = "main.py"
    runpy.run_path(os.path.join(tree, "main.py"), run_name="__main__")
