"""The pack as a package named `midrun`, and one real ComfyUI server for the tests that share it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


from harness import Comfy, as_package  # noqa: E402

as_package()


@pytest.fixture(scope="session")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A running ComfyUI with Midrun and the test pack. Shared: use your own keys and seeds."""
    server = Comfy(tmp_path_factory.mktemp("comfy")).start()
    yield server
    server.stop()
    if os.environ.get("MIDRUN_KEEP_LOG"):
        print(server.tail(100000))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium. Not for the whole session: meanwhile Playwright has an event loop on this thread."""
    from browser import launch
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """A server with the newest frontend, for what is the same in all."""
    from browser import FRONTENDS, frontend_root

    root = ("--front-end-root", str(frontend_root(FRONTENDS[-1])))
    server = Comfy(tmp_path_factory.mktemp("newest"), args=root).start()
    yield server
    server.stop()
