"""The same on S3, against moto's server: where s3fs and moto[server] are installed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import test_sharing
from test_sharing import Server

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")
TESTS = [
    test_sharing.test_what_a_dead_server_left_is_listed_taken_over_and_resumable,
    test_sharing.test_an_overtaken_owner_is_read_by_nobody_and_may_not_resume,
    test_sharing.test_of_many_at_once_one_gets_a_job,
    test_sharing.test_a_store_that_is_cut_off_is_told_and_catches_up,
    test_sharing.test_what_lands_late_after_a_lost_connection_is_read_by_nobody,
    test_sharing.test_few_objects_are_sent_and_none_twice,
    test_sharing.test_nothing_is_left_of_a_job_that_is_over_or_deleted,
    test_sharing.test_a_drain_pauses_sends_and_lets_go,
    test_sharing.test_the_same_prompt_goes_on_from_what_another_server_computed,
]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    import boto3  # noqa: PLC0415

    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        told = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in (told | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="midrun")
        yield "s3://midrun"
    server.stop()


@pytest.fixture
def servers(tmp_path: Path, bucket: str) -> Iterator[Callable[[str], Server]]:
    made: list[Server] = []
    url = f"{bucket}/{uuid.uuid4().hex}"

    def make(name: str) -> Server:
        made.append(Server(tmp_path / name, tmp_path, name, lambda place: url, silent_s=2.0))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_on_s3(servers: Any, test: Callable[[Any], None]) -> None:
    test(servers)
