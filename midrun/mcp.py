"""An MCP server that lets an agent watch and steer a running ComfyUI: `python -m midrun.mcp --server URL`.

It speaks over its standard input and output, and knows nothing but the REST API of Midrun. docs/agents.md is
its guide. Needs `pip install "mcp>=2,<3"`.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from .agent import Agent
from .server import Server

MISSING = 'The MCP server needs the package mcp: pip install "mcp>=2,<3", with the Python that runs this.'


def main(arguments: list[str]) -> int | str:
    parser = argparse.ArgumentParser(
        "python -m midrun.mcp", description="Let an agent watch a running ComfyUI."
    )
    parser.add_argument("--server", help="address of ComfyUI; else MIDRUN_SERVER, else the usual one here")
    asked = parser.parse_args(arguments)
    try:
        tools = importlib.import_module(
            f"{__package__}.tools"
        )  # not before it is known that the package is there
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("mcp", "pydantic"):
            raise
        return MISSING
    tools.server(Agent(Server(asked.server))).run("stdio")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
