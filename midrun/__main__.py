"""`python -m midrun check`."""

from __future__ import annotations

import argparse
import io
import sys

from . import check


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("midrun", description="Asks a running ComfyUI with Midrun.")
    check.add_to(parser.add_subparsers(dest="command", required=True))
    told = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console may lack letters of a message
    try:
        return told.run(told)
    except Exception as error:  # noqa: BLE001  Python would exit with 1, which is a verdict
        sys.stderr.write(f"midrun: nobody can tell: {type(error).__name__}: {error}\n")
        return check.TROUBLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
