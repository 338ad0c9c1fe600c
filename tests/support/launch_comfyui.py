"""Runs a ComfyUI tree's main.py: `python launch_comfyui.py <tree> [main.py arguments...]`.

Beside a CPU build of torch, torchvision's wheel lacks two operators and fails to import; ComfyUI imports it
at start-up. Where that is so, their schemas are defined first. Where torchvision works, nothing is done.

`python launch_comfyui.py --copies <socket>` imports what takes ComfyUI long to import, once, and begins
servers as copies of itself; tests/support/copies.py asks it to.
"""

import contextlib
import gc
import importlib
import json
import logging
import os
import runpy
import select
import signal
import socket
import sys

SLOW_TO_IMPORT = (
    *(
        "torchaudio",
        "torchsde",
        "transformers",
        "transformers.modeling_utils",
        "scipy.stats",
        "scipy.integrate",
    ),
    *("kornia", "av", "aiohttp.web", "sqlalchemy.orm", "alembic.command", "pydantic_settings", "PIL.Image"),
)


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


def launch(tree, arguments):
    sys.argv[:] = ["main.py", *arguments]
    os.chdir(tree)
    sys.path[0] = tree
    parse_again()
    runpy.run_path(os.path.join(tree, "main.py"), run_name="__main__")


def import_from(tree):
    """What takes long to import; of ComfyUI, too, where its main.py has nothing to set up before it."""
    if gc.get_freeze_count():
        return
    for name in SLOW_TO_IMPORT:
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            importlib.import_module(name)
    with open(os.path.join(tree, "main.py"), encoding="utf-8") as main:
        has_to_set_up = "aimdo" in main.read()
    if not has_to_set_up:
        sys.argv[:], sys.path[0] = ["main.py", "--cpu"], tree  # as all servers of the tests are begun
        importlib.import_module("comfy.options").enable_args_parsing()
        logging.disable()  # each server tells it for itself
        for name in ("comfy.sd", "comfy.samplers", "comfy.controlnet"):
            importlib.import_module(name)
        logging.disable(logging.NOTSET)
        logging.getLogger().handlers.clear()  # a server sets up its own
    gc.freeze()


def parse_again():
    """Where ComfyUI's arguments were parsed for the original, everybody has those of the copy from now on."""
    known = sys.modules.get("comfy.cli_args")
    if known is not None:
        args = known.args
        vars(args).update(vars(importlib.reload(known).args))
        known.args = args


def copies(asked):
    """Answer, by a line each, what is asked by the socket `asked`: {"start": command, "environ": more, "log":
    path} by a copy's pid, {"ended": pid} by its exit code or null. In a copy return its command, (tree,
    *arguments); at the end of stdin None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the tests, which then stop their servers
    alive, codes = set(), {}
    while asked in select.select([sys.stdin, asked], [], [])[0]:
        with asked.accept()[0] as asking, asking.makefile("rw") as lines:
            told = json.loads(lines.readline())
            if "start" in told:
                import_from(told["start"][0])
                answer = os.fork()
                if answer == 0:
                    become_a_server(told["log"], told["environ"])
                    return told["start"]
                alive.add(answer)
            else:
                pid = told["ended"]
                if pid in alive and (waited := os.waitpid(pid, os.WNOHANG))[0]:
                    alive.discard(pid)
                    codes[pid] = os.waitstatus_to_exitcode(waited[1])
                answer = None if pid in alive else codes[pid]  # two threads may ask for the same one
            lines.write(json.dumps(answer) + "\n")
    for pid in alive:  # of tests that were killed
        os.kill(pid, signal.SIGTERM)
    return None


def become_a_server(log, environ):
    """Leave to the original its pipes."""
    os.environ.update(environ)
    sys.path[1:1] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
        (2, log, os.O_WRONLY | os.O_APPEND),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, target)
        os.close(opened)


if __name__ == "__main__":
    # Not where there is a GPU: before its main.py ComfyUI wants nobody to import torch.
    library = mend_torchvision() if {"--copies", "--cpu"} & set(sys.argv) else None
    if sys.argv[1:2] == ["--copies"]:
        with socket.socket(fileno=int(sys.argv[2])) as asked:
            command = copies(asked)
    else:
        command = sys.argv[1:]
    if command:
        launch(command[0], command[1:])
