"""What `dev.py test` has pytest run, against an environment that runs nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from harness import ROOT


class Recording:
    """An environment that notes what it is to execute."""

    python = Path("python")
    tsc = Path("there", "is", "none")

    def __init__(self) -> None:
        self.executed: list[tuple[str, ...]] = []

    def make_for_browsers(self) -> None: ...

    def make_for_loops(self) -> None: ...

    def execute(self, *arguments: str) -> int:
        self.executed.append(arguments)
        return 0


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    spec = importlib.util.spec_from_file_location("dev_of_midrun", ROOT / "dev.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_unit_tests_take_what_pytest_takes(dev: ModuleType) -> None:
    for given in (["--unit"], ["--unit", "-q"], ["-q", "--unit"]):
        environment = Recording()
        assert dev.test(environment, given) == 0
        others = [one for one in given if one != "--unit"]
        assert environment.executed == [("-m", "pytest", *dev.BESIDE_EACH_OTHER, "tests/unit", *others)]


def test_tests_that_are_named_run_by_themselves(dev: ModuleType) -> None:
    environment = Recording()
    dev.test(environment, ["tests/unit/test_job.py", "-q"])
    assert environment.executed == [("-m", "pytest", "tests/unit/test_job.py", "-q")]
