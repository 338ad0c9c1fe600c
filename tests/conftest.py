"""The pack as a package named `midrun`, and one real ComfyUI server for the tests that share it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import harness
from copies import Original
from harness import Comfy, as_package

as_package()
# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("midrun", deadline=None)
hypothesis.settings.load_profile("midrun")

# The files that take longest, which come first, so that the last to end is a short one; those with a browser
# and those without it take turns, so that two browsers hardly ever compute at once.
LONGEST = tuple(
    f"test_{name}.py"
    for name in (
        "browser",
        "samplers",
        "store",
        "browser_details",
        "fleet_worker",
        "endurance",
        "browser_travel",
        "pipelines",
        "editing",
        "browser_places",
        "remembering",
        "bundles",
        "browser_access",
        "demo_model",
        "gallery",
        "browser_store",
        "retries",
        "guard_server",
        "browser_drafts",
        "timetravel",
        "webhooks",
        "browser_steps",
        "choosing",
        "checks",
        "browser_choose",
        "surviving",
        "browser_timeline",
        "again",
        "segments",
        "browser_bundles",
        "instrumenting",
        "browser_checks",
        "newcomer",
        "browser_ways",
    )
)
ORIGINALS = "MIDRUN_TEST_ORIGINALS"  # their addresses
BEGUN = pytest.StashKey[list[Original]]()
STARTED = frozenset({"comfy", "newest_server", "browser"})  # fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "all tests of tests/gpu, on a CUDA device where there is one"
    parser.addoption("--gpu", action="store_true", default=False, help=told)


def is_unit(path: Path) -> bool:
    return path.parent.name == "unit"


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """The longest files first, the unit tests last; the order is stable otherwise."""

    def place(item: pytest.Item) -> int:
        if item.path.name in LONGEST:
            return LONGEST.index(item.path.name)
        return len(LONGEST) + is_unit(item.path)

    items.sort(key=place)
    for item in items:
        if is_unit(item.path) and not STARTED.isdisjoint(item.fixturenames):
            raise pytest.UsageError(f"{item.nodeid} starts a server: it is not for tests/unit.")


@pytest.fixture(autouse=True, scope="module")
def no_server_in_a_unit_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """A file that starts one is not for tests/unit."""
    with pytest.MonkeyPatch.context() as patch:
        if is_unit(request.path):
            patch.delattr(harness.Comfy, "start")
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Servers begin as copies, which takes a quarter of the time. All workers share the originals."""
    if sys.platform == "linux" and not hasattr(config, "workerinput"):
        config.stash[BEGUN] = [Original.begin(), Original.begin()]
        os.environ[ORIGINALS] = os.pathsep.join(original.address for original in config.stash[BEGUN])
    Comfy.originals = tuple(map(Original, filter(None, os.environ.get(ORIGINALS, "").split(os.pathsep))))


def pytest_unconfigure(config: pytest.Config) -> None:
    for original in config.stash.get(BEGUN, []):
        original.end()


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
    from playwright.sync_api import sync_playwright

    from browser import launch

    with sync_playwright() as playwright:
        launched = launch(playwright)
        yield launched
        launched.close()


@pytest.fixture
def newest(newest_server: Comfy) -> Iterator[Comfy]:
    """A server with the newest frontend, for what is the same in all; no job of another test stands there."""
    newest_server.clear()
    yield newest_server


@pytest.fixture(scope="session")
def newest_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    from browser import FRONTENDS, frontend_root

    root = ("--front-end-root", str(frontend_root(FRONTENDS[-1])))
    server = Comfy(tmp_path_factory.mktemp("newest"), args=root).start()
    yield server
    server.stop()
