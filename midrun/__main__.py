"""`python -m midrun check`."""

from __future__ import annotations

import argparse
import sys

from . import check


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("midrun", description="Asks a running ComfyUI with Midrun.")
    check.add_to(parser.add_subparsers(dest="command", required=True))
    told = parser.parse_args(arguments)
    return told.run(told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
