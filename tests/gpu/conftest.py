"""Tests on the device that ComfyUI computes on. Each is skipped by the name of what it needs and lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness import Comfy
from rig import Rig, device_here, lacks


def asked_for(config: pytest.Config) -> bool:
    return bool(config.getoption("--gpu")) or bool(os.environ.get("MIDRUN_FULL"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    on_a_gpu = device_here() == "cuda"
    needs = [need for mark in item.iter_markers("needs") for need in mark.args]
    if on_a_gpu:
        needs.append("--gpu")  # an ordinary run leaves a GPU to others
    for need in needs:
        if (why := lacks(need, asked_for(item.config))) is not None:
            pytest.skip(why)


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A server that the tests share: use your own keys and seeds."""
    device = device_here()
    server = Comfy(tmp_path_factory.mktemp("gpu"), device=device).start()
    yield Rig(server, device, "real" if device == "cuda" else "tiny")
    server.stop()
