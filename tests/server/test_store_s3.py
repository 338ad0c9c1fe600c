"""A real server with its store on S3, which does not answer for a while: where MIDRUN_S3 names a directory
with s3fs and moto[server].
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import graphs
from harness import Comfy
from resuming import latent
from s3 import PACKAGES, S3
from test_control import expected, kinds

pytestmark = pytest.mark.skipif(not PACKAGES, reason="MIDRUN_S3 names no directory with s3fs and moto")
CUT_S = 30.0
STEPS, CUT_AT, LAST = 24, 5, 20


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    s3 = S3(tmp_path)
    yield s3
    s3.end()


@pytest.fixture
def servers(tmp_path: Path, s3: S3) -> Iterator[Callable[[str], Comfy]]:
    made: list[Comfy] = []

    def make(name: str) -> Comfy:
        made.append(Comfy(tmp_path / name, environ=s3.told).start())
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_a_store_that_is_cut_off_in_mid_job_loses_nothing(servers: Callable[[str], Comfy], s3: S3) -> None:
    one = servers("one")
    options = {"steps": STEPS, "sampler": "dpmpp_2m_sde"}
    job_id = one.queue(graphs.base(key="cut", gates=f"{CUT_AT},{LAST}", **options))
    one.wait_at_gate("cut", CUT_AT)
    one.until(lambda: sent(s3, job_id, CUT_AT - 1), "the evaluations before the cut to be in the store")
    s3.cut()
    begun = time.monotonic()
    one.open_gate("cut", CUT_AT)
    one.wait_at_gate("cut", LAST)  # nothing of it waits for the store
    assert time.monotonic() - begun < CUT_S
    one.until(lambda: not_in_store(one, job_id), "the warning")
    time.sleep(max(0.0, CUT_S - (time.monotonic() - begun)))
    s3.answer()
    one.until(lambda: sent(s3, job_id, LAST - 1), "the store to have what it lacked")
    one.until(lambda: not not_in_store(one, job_id), "the warning to go")
    assert kinds(one, job_id)[-2:] == ["not_in_store", "not_in_store_over"]
    one.kill()

    other = servers("other")
    status, told = other.call("POST", f"/midrun/store/{job_id}/take", {}, timeout=90)
    assert (status, told["state"], told["evaluations"]) == (201, "paused", LAST - 1), told
    for gate in (CUT_AT, LAST):
        other.open_gate("cut", gate)
    assert other.verb(job_id, "resume")[0] == 202
    job = other.wait_for(job_id, "completed")
    assert other.probe("cut")["done"] == STEPS - LAST + 1
    assert torch.equal(latent(other, job["prompt_id"]), expected(other, **options))


def not_in_store(comfy: Comfy, job_id: str) -> bool:
    return any(warning["code"] == "not_in_store" for warning in comfy.job(job_id)["warnings"])


def sent(s3: S3, job_id: str, evaluations: int) -> bool:
    """Whether the newest claim's manifest has so many evaluations."""
    manifests = (s3.read(f"jobs/{job_id}/claims/{number:06}.json") for number in (3, 2, 1))
    return f"{evaluations - 1:06}.safetensors" in next(filter(None, manifests), "")


def test_a_server_ends_in_time_while_its_store_does_not_answer(
    servers: Callable[[str], Comfy], s3: S3
) -> None:
    one = servers("one")
    job_id = one.queue(graphs.base(key="end", gates="3"))
    one.wait_at_gate("end", 3)
    one.until(lambda: sent(s3, job_id, 2), "the evaluations to be in the store")
    s3.cut()
    began = time.monotonic()
    one.stop()  # kills it after 20 s
    assert time.monotonic() - began < 20
