"""`python dev.py fuzz`: schemathesis over openapi.yaml, against a real server with jobs in it.

Its arguments are a folder with schemathesis, and then options for `schemathesis run`, such as `--max-examples
100` or `--include-path /midrun/jobs`. It fails on what no server should do: answer 500 or anything else that
openapi.yaml does not describe, refuse what that allows, accept what that does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import examples
from harness import ROOT, Comfy

HOOKS = Path(__file__).with_name("fuzz_hooks.py")
RUN = "from schemathesis.cli import schemathesis; schemathesis()"
AT_LAST = "/midrun/drain"  # after it, the server lets go of its jobs
# ComfyUI's own router answers GET of everything that it does not know with 404, so 405 is not ours to give.
NOT_OURS = ("--exclude-checks", "unsupported_method")
USUAL = ("--max-examples", "60", "--continue-on-failure", "--request-timeout", "60", "--seed", "20")


def run(server: Comfy, folder: str, options: list[str]) -> int:
    """schemathesis's exit code: 1 if it found something."""
    prompt = examples.as_prompt(server, examples.saved("Pause and edit"))
    own = {"PYTHONPATH": folder, "SCHEMATHESIS_HOOKS": str(HOOKS)}
    own |= {"MIDRUN_FUZZ_SERVER": server.url, "MIDRUN_FUZZ_PROMPT": json.dumps(prompt)}
    command = [sys.executable, "-c", RUN, "run", str(ROOT / "openapi.yaml"), "--url", server.url]
    command += [
        "--phases",
        "examples,coverage,fuzzing",
        "--generation-database",
        "none",
        *NOT_OURS,
        *USUAL,
        *options,
    ]
    return subprocess.run(command, cwd=server.base, env={**os.environ, **own}).returncode


def main(folder: str, options: list[str]) -> int:
    with tempfile.TemporaryDirectory() as place:
        server = Comfy(Path(place), packs=(ROOT,)).start()
        try:
            chosen = any(option.startswith("--include-") for option in options)
            code = run(server, folder, options if chosen else ["--exclude-path", AT_LAST, *options])
            if not chosen:
                code = run(server, folder, ["--include-path", AT_LAST, *options]) or code
            told = server.tail(10**8)
        finally:
            server.stop()
    raised = [one for one in told.split("Traceback (most recent")[1:] if "ComfyUI-Midrun/" in one[:6000]]
    print(f"The server's log has {len(raised)} tracebacks of Midrun.", *(one[:3000] for one in raised[:3]))
    return code or bool(raised)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
