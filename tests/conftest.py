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


import harness  # noqa: E402
from copies import Original  # noqa: E402
from harness import Comfy, as_package  # noqa: E402

as_package()

# The files of which no test starts a server or a browser.
UNIT = frozenset(
    f"test_{name}.py"
    for name in (
        *(
            "architecture",
            "architecture_web",
            "breakpoints_unit",
            "brownian",
            "compare_unit",
            "control_unit",
            "demo_model_unit",
        ),
        *("disk", "edits", "ending_in_order", "evaluation", "examples_unit", "expanding_unit", "fingerprint"),
        *("guard", "instrument", "job", "pace", "preview_files", "queue_order", "recording", "recovery"),
        *("registry", "segments_unit", "store", "telemetry_unit", "timetravel_unit", "web"),
    )
)
# The files that take longest, which come first, so that the last to end is a short one; those that mostly
# wait stand between those that compute.
LONGEST = tuple(
    f"test_{name}.py"
    for name in ("browser", "samplers", "browser_travel", "endurance", "browser_details", "browser_places")
)
STARTED = frozenset({"comfy", "newest", "browser"})  # fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--unit", action="store_true", help="only the tests that start no server and no browser")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if config.getoption("--unit") and is_test and collection_path.name not in UNIT else None


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """The longest files first, the unit tests last; the order is stable otherwise."""

    def place(item: pytest.Item) -> int:
        if item.path.name in LONGEST:
            return LONGEST.index(item.path.name)
        return len(LONGEST) + (item.path.name in UNIT)

    items.sort(key=place)
    for item in items:
        if item.path.name in UNIT and not STARTED.isdisjoint(item.fixturenames):
            raise pytest.UsageError(f"{item.nodeid} starts a server: {item.path.name} is none of UNIT.")


@pytest.fixture(autouse=True, scope="module")
def no_server_in_a_unit_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """A file that starts one is none of UNIT."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name in UNIT:
            patch.delattr(harness.Comfy, "start")
        yield


@pytest.fixture(scope="session", autouse=True)
def originals() -> Iterator[None]:
    """Servers begin as copies, which takes a quarter of the time."""
    if sys.platform == "linux":
        Comfy.originals = Original(), Original()
    yield
    for original in Comfy.originals:
        original.end()
    Comfy.originals = ()


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
