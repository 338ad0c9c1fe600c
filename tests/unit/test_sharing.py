"""The shared store without ComfyUI: claims, what is sent, taken over, and found by retries."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from midrun.state.errors import IllegalTransition, Unavailable
from midrun.state.job.job import Job
from midrun.state.job.request import Request
from midrun.state.recording.items import Evaluation
from midrun.state.services.recovery import recover
from midrun.state.sharing.claims import Claims, NotInStore, Taken
from midrun.state.sharing.draining import Draining
from midrun.state.sharing.elsewhere import Elsewhere
from midrun.state.sharing.mirror import Mirror
from midrun.state.sharing.remote import Remote, Unreachable
from midrun.state.sharing.retries import Retries
from midrun.state.sharing.shared import Shared
from midrun.state.states import AbortMode, PauseReason, QueuePolicy, State
from midrun.state.store.orphans import orphans
from midrun.state.workflow.edits import Edit, changed
from test_job import enter
from two_homes import GRAPH, JOB, NODE, RNG, STEPS, Home

SILENT_S = 0.4
THIRD_ID = "7b0a6f0e-51e2-4c33-9d0b-0a3b3b9b1f52"
OTHER_ID = "1c7c3f8d-6b1f-4d62-a8e7-308c4b2dae11"


def until(what: Callable[[], Any], told: str) -> Any:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited for {told}")


class Cut:
    """A store that can be cut off."""

    def __init__(self, url: str) -> None:
        self.remote = Remote(url)
        self.cut = False
        self._idle = threading.Condition()
        self._asked = 0  # requests on their way
        self.unanswered = ""  # a put of what is named so
        self.puts = 0

    def cut_off(self) -> None:
        """No request of before is on its way any more."""
        self.cut = True
        with self._idle:
            self._idle.wait_for(lambda: not self._asked)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.remote, name)
        if not callable(found):
            return found

        def call(*given: Any) -> Any:
            with self._idle:
                if self.cut or (name == "put" and self.unanswered == given[0]):
                    raise Unreachable("the test cut it off")
                self.puts += name == "put"
                self._asked += 1
            try:
                return found(*given)
            finally:
                with self._idle:
                    self._asked -= 1
                    self._idle.notify_all()

        return call


class Server:
    """One of several with the same store."""

    def __init__(
        self,
        place: Path,
        store: Path,
        name: str,
        url_of: Callable[[Path], str] = lambda place: f"file://{place.as_posix()}",
        silent_s: float = SILENT_S,
    ) -> None:
        self.closed = False
        self.home = Home(place)
        self.store = Cut(url_of(store))
        self.claims = Claims(name, silent_s)
        self.mirror = Mirror(
            lambda: self.store, self.claims, self.home.recordings, self.home.exporting, every_s=0.01
        )
        self.home.registry.listen(self.mirror.on_change)
        self.draining = Draining(self.home.registry, self.mirror, lambda seconds: None)
        self.shared = Shared("file://", self.mirror, self.home.registry, self.home.importing, self.draining)

    def sent(self) -> None:
        assert self.mirror.flush(20)

    def take(self, key: str = JOB) -> Any:
        return asyncio.run(self.shared.take(key))

    def listed(self) -> list[dict[str, Any]]:
        return asyncio.run(self.shared.listed())["jobs"]

    def crash(self) -> None:
        """Nothing is told to the store."""
        self.store.cut_off()

    def close(self) -> None:
        if not self.closed:
            self.closed = self.store.cut = True
            self.mirror.end()
            self.home.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    made: list[Server] = []

    def make(name: str) -> Server:
        made.append(Server(tmp_path / name, tmp_path / "store", name))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_a_dead_server_left_is_listed_taken_over_and_resumable(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    job = one.home.job()
    one.sent()
    with pytest.raises(Taken, match="lives"):
        _while_beating(one, lambda: other.take())
    one.crash()
    told = until(lambda: [found for found in other.listed() if found["alive"] is False], "its silence")
    assert (told[0]["job_id"], told[0]["state"], told[0]["step"]) == (JOB, "paused", 3)
    view = other.take()
    want = job.view()
    assert (view.job_id, view.state, view.step, view.evaluations) == (JOB, State.PAUSED, 3, want.evaluations)
    assert view.edits == want.edits and view.breakpoints == want.breakpoints
    (call,) = one.home.recordings.calls(JOB)
    for index in range(want.evaluations):
        ours = one.home.recordings.calls(JOB)[call].read(index).answer
        assert torch.equal(other.home.recordings.calls(JOB)[call].read(index).answer, ours)
    assert (other.home.around.inputs / "cat.png").read_bytes() == b"a cat"
    assert other.listed() == []


def test_an_overtaken_owner_is_read_by_nobody_and_may_not_resume(servers: Any) -> None:
    one, other, third = servers("one"), servers("other"), servers("third")
    job = one.home.job()
    one.sent()
    one.crash()
    other.take()
    one.store.cut = False  # it was only frozen
    job.note("woke", {})
    until(lambda: "taken_over" in job.view().warnings, "it to notice")
    with pytest.raises(IllegalTransition, match="another server took it over"):
        asyncio.run(one.shared.may_run(job))
    late = one.store.remote
    late.put(f"jobs/{JOB}/claims/000001.json", b'{"format": "midrun-store-1", "job": {}, "ended": true}')
    other.sent()
    other.crash()
    assert third.take().step == 3  # of the second, whatever the first wrote


def test_what_a_cut_off_owner_completes_is_not_the_new_owners_end(servers: Any) -> None:
    one, other, third = servers("one"), servers("other"), servers("third")
    job = one.home.job()
    one.sent()
    one.crash()
    other.take()
    other.sent()
    job.abort(AbortMode.STOP, None)  # it is over there
    one.store.cut = False
    job.note("woke", {})
    until(lambda: "taken_over" in job.view().warnings, "it to notice")
    assert one.mirror.flush(20)
    other.crash()
    assert third.take().step == 3


def test_a_server_that_was_silent_once_is_not_waited_for_again(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    one.home.job()
    one.sent()
    one.crash()
    beats = {entry.name for entry in other.store.entries("servers")}
    assert one.claims.me.life in beats
    other.take()
    assert {entry.name for entry in other.store.entries("servers")} == {other.claims.me.life}


def test_a_server_that_starts_again_has_its_jobs_unless_another_took_them(
    servers: Any, tmp_path: Path
) -> None:
    one = servers("one")
    one.home.job()
    one.sent()
    one.close()
    again, other = servers("one"), servers("other")
    job = asyncio.run(again.home.registry.load(JOB))
    asyncio.run(again.shared.may_run(job))
    assert [one.name for one in again.store.remote.entries(f"jobs/{JOB}/claims") if one.name.isdigit()][1:]
    again.close()
    other.take()
    third = servers("one")
    job = asyncio.run(third.home.registry.load(JOB))
    with pytest.raises(IllegalTransition, match="another server took it over"):
        asyncio.run(third.shared.may_run(job))


def test_what_a_server_took_and_gave_up_is_claimed_anew_before_it_is_used(servers: Any) -> None:
    other, third = servers("other"), servers("third")
    Claims("dead", SILENT_S).create(other.store.remote, JOB, 1)  # it told nothing but that the job is its
    with pytest.raises(NotInStore, match="told nothing"):
        other.take()
    other.home.job()  # so the other one begins it
    other.sent()
    with pytest.raises(Taken, match="lives"):
        _while_beating(other, third.take)


def test_two_jobs_of_the_same_id_are_two_jobs(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    one.home.job()
    one.sent()
    other.home.job()
    other.sent()
    assert len(one.store.remote.entries("open")) == 2
    for server in (one, other):
        asyncio.run(server.shared.may_run(server.home.registry.get(JOB)))


def test_of_many_at_once_one_gets_a_job(servers: Any) -> None:
    one = servers("one")
    one.home.job()
    one.sent()
    one.crash()
    others = [servers(f"other-{number}") for number in range(5)]
    results: list[Any] = []

    def take(server: Server) -> None:
        try:
            results.append(server.take().job_id)
        except Exception as error:  # noqa: BLE001
            results.append(error)

    threads = [threading.Thread(target=take, args=(server,)) for server in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found for found in results if found == JOB] == [JOB], results
    numbers = [entry.name for entry in one.store.remote.entries(f"jobs/{JOB}/claims")]
    assert sorted(name for name in numbers if name.isdigit()) == ["000001", "000002"], results


def test_a_store_that_is_cut_off_is_told_and_catches_up(servers: Any) -> None:
    one = servers("one")
    one.store.cut = True
    job = one.home.job()
    until(lambda: "not_in_store" in job.view().warnings, "the warning")
    one.store.cut = False
    one.sent()
    assert "not_in_store" not in job.view().warnings
    one.crash()
    assert servers("other").take().evaluations == 3


def test_what_lands_late_after_a_lost_connection_is_read_by_nobody(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    job = one.home.job()
    one.sent()
    manifest = f"jobs/{JOB}/claims/000001.json"
    late = one.store.remote.get(manifest)
    one.store.unanswered = manifest
    job.edit(lambda history: changed(history, (NODE, "cfg"), Edit(4.0, 9.0)))
    until(lambda: "not_in_store" in job.view().warnings, "the warning")
    one.sent()
    one.store.remote.put(manifest, late)  # as libraries do, which try for minutes
    one.crash()
    assert other.take().edits == job.view().edits


def test_a_claim_that_was_made_without_an_answer_is_this_servers(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    job = one.home.job()
    one.sent()
    one.claims.create(one.store.remote, JOB, 2)
    job.note("more", {})
    one.sent()
    assert "taken_over" not in job.view().warnings
    job.note("again", {})
    one.sent()
    one.crash()
    assert other.take().step == 3


def test_a_servers_end_waits_little_for_a_store_that_does_not_answer(
    servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, never = servers("one"), threading.Event()
    one.home.job()
    one.sent()
    monkeypatch.setattr(one.store.remote._fs, "rm_file", lambda path: never.wait(60), raising=False)
    began = time.monotonic()
    one.mirror.end()
    took = time.monotonic() - began
    never.set()
    assert took < one.store.look_s


def test_few_objects_are_sent_and_none_twice(servers: Any) -> None:
    one = servers("one")
    job = one.home.job()
    one.sent()
    folder = f"jobs/{JOB}/blobs"
    before = {entry.name for entry in one.store.remote.entries(folder)}
    recording = one.home.recordings.open(JOB, NODE, 0)
    latent = torch.full((1, 4, 2, 2), 9.0)
    recording.append(Evaluation(latent, (), RNG))
    recording.save()
    one.home.recordings.flush()
    puts = one.store.puts
    job.note("more", {})
    one.sent()
    assert len({entry.name for entry in one.store.remote.entries(folder)} - before) == 1
    assert one.store.puts - puts <= 4  # the object, the manifest, what others list, a beat


def test_nothing_is_left_of_a_job_that_is_over_or_deleted(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    job = one.home.job()
    one.sent()
    assert len(one.store.remote.entries("open")) == 1 and one.store.remote.entries("graphs")
    job.abort(AbortMode.STOP, None)
    one.sent()
    assert not one.store.remote.entries("open") and not one.store.remote.entries(f"jobs/{JOB}/blobs")
    with pytest.raises(NotInStore, match="over"):
        one.crash()
        other.take()


def test_a_paused_job_is_sent_with_what_was_on_its_way_to_the_disk(
    servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else tells of it later."""
    one, asked = servers("one"), threading.Event()
    recordings = one.home.recordings

    def telling(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            try:
                return work(*given)
            finally:
                asked.set()

        return call

    one.store.cut = True
    with monkeypatch.context() as patched:
        patched.setattr(recordings, "flush", lambda: None)
        recordings.writer.put(asked.wait)
        job = one.home.job()
    monkeypatch.setattr(recordings, "read", telling(recordings.read))
    monkeypatch.setattr(recordings.writer, "submit", telling(recordings.writer.submit))
    one.store.cut = False
    job.note("kept", {})
    one.sent()
    assert one.store.remote.entries("graphs")


def test_a_damaged_store_gives_nothing_and_keeps_nothing(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    one.home.job()
    one.sent()
    one.crash()
    store, folder = one.store.remote, f"jobs/{JOB}/blobs"
    kept = other.home.kept()
    blob = store.entries(folder)[0].name
    content = store.get(f"{folder}/{blob}")
    store.put(f"{folder}/{blob}", content[:-1] + b"?")
    for match in ("SHA-256", "lacks a part"):
        with pytest.raises(Exception, match=match):
            other.take()
        store.delete([f"{folder}/{blob}"])
    name = max(one.name for one in store.entries(f"jobs/{JOB}/claims") if one.name.endswith(".json"))
    told = json.loads(store.get(f"jobs/{JOB}/claims/{name}"))
    evil = hashlib.sha256(b"x").hexdigest()
    told["files"]["data/../../evil"] = [evil, 0, 1]
    store.put(f"{folder}/{blob}", content)
    store.put(f"jobs/{JOB}/claims/{name}", json.dumps(told).encode())
    store.put(f"{folder}/{evil}", b"x")
    with pytest.raises(Exception, match="has a file with the name"):
        other.take()
    assert other.home.kept() == kept
    with pytest.raises(NotInStore, match="no such job"):
        other.take("../../etc")


def test_a_store_that_never_answers_costs_a_deadline(tmp_path: Path) -> None:
    started = time.monotonic()
    remote = Remote(f"file://{(tmp_path / 'store').as_posix()}", look_s=0.2)
    remote._fs = _Silent(remote._fs)
    with pytest.raises(Unreachable, match="within"):
        remote.get("anything")
    assert time.monotonic() - started < 10
    with pytest.raises(Unreachable, match="Install|unknown|Protocol"):
        Remote("nonsense://x")


def test_a_store_that_creates_nothing_exclusively_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    def overwrite(fs: Any, path: str, content: bytes) -> None:
        Path(path).write_bytes(content)

    for name in ("_open_new", "_pipe_new"):
        monkeypatch.setattr(f"midrun.state.sharing.remote.{name}", overwrite)
    with pytest.raises(Unreachable, match="cannot create an object only where there is none"):
        Remote(f"file://{tmp_path.as_posix()}")


def test_a_drain_pauses_sends_and_lets_go(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    job = _running(one)
    one.sent()
    worker = threading.Thread(target=_stops_when_asked, args=(job,))
    worker.start()
    told = one.draining.drain(10)
    worker.join()
    assert told.paused == (JOB,) and told.mirrored is True and told.seconds < 10
    assert job.view().pause_reason is PauseReason.DRAIN
    with pytest.raises(IllegalTransition, match="drained"):
        asyncio.run(one.shared.may_run(job))
    assert other.claims.lives(other.store, one.claims.me.life) is False  # nobody waits for its silence
    assert other.take().pause_reason is PauseReason.DRAIN


def test_the_same_prompt_goes_on_from_what_another_server_computed(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    job = _running(one)
    one.sent()
    one.crash()
    (other.home.around.inputs / "cat.png").write_bytes(b"a cat")
    for change, size in (("none", 3), ("text", 0), ("file", 0), ("torch", 0)):
        prompt = json.loads(json.dumps(GRAPH))
        if change == "text":
            prompt["3"]["inputs"]["cfg"] = 4.1
        if change == "file":
            (other.home.around.inputs / "cat.png").write_bytes(b"a dog")
        if change == "torch":
            (other.home.around.inputs / "cat.png").write_bytes(b"a cat")
            other.home.around.now = type(other.home.around.now)({"torch": "2.1"})
        again = _retried(other, prompt, f"{change}-{OTHER_ID}")
        retried = again.view().retried
        assert (retried.evaluations if retried else 0) == size, change
    assert job.state is State.RUNNING


def test_whoever_can_be_gone_on_from_is_found(servers: Any) -> None:
    """Though its server dies as soon as it has told what there is."""
    one, other = servers("one"), servers("other")
    put = one.store.remote.put

    def put_and_die(name: str, content: bytes, *more: Any) -> None:
        put(name, content, *more)
        one.store.cut = one.store.cut or (name.endswith(".json") and b'"made":[[' in content)

    one.store.remote.put = put_and_die
    _running(one)
    until(lambda: one.store.cut, "its death")
    (other.home.around.inputs / "cat.png").write_bytes(b"a cat")
    retried = _retried(other, GRAPH, OTHER_ID).view().retried
    assert retried is not None and retried.evaluations


def test_an_input_that_was_replaced_later_is_not_what_was_computed_from(servers: Any) -> None:
    one, other, again = servers("one"), servers("other"), servers("again")
    job = _running(one)
    one.sent()
    for server in (one, other):
        (server.home.around.inputs / "cat.png").write_bytes(b"a dog")
    job.note("more", {})
    one.sent()
    assert _retried(other, GRAPH, OTHER_ID).view().retried is None
    one.close()
    one = servers("one")  # which does not remember what the picture was
    job = asyncio.run(one.home.registry.load(JOB))
    job.note("woke", {})
    one.sent()
    (again.home.around.inputs / "cat.png").write_bytes(b"a dog")
    assert _retried(again, GRAPH, OTHER_ID).view().retried is None


@pytest.mark.parametrize(
    ("ends", "left"),
    [("at work", True), ("pausing", False), ("draining", True), ("drained", True), ("paused", False)],
)
def test_what_is_an_orphan_after_a_restart(tmp_path: Path, ends: str, left: bool) -> None:
    home = Home(tmp_path)
    (home.around.inputs / "cat.png").write_bytes(b"a cat")
    job = home.registry.add(JOB, Request(GRAPH, {}), QueuePolicy.AUTO)
    assert job is not None
    job.runs.enter_queue()
    enter(job, JOB, NODE, STEPS)
    home._sample(job)
    if ends != "at work":
        job.pause(PauseReason.DRAIN if ends.startswith("drain") else PauseReason.USER)
    if ends in ("drained", "paused"):
        job.worker.stopped(True, {}, park=True)
    home.close()
    again = Home(tmp_path)
    recover(again.store, again.recordings, again.files, crashed=True)
    assert again.store.database.read(orphans).result() == ([JOB] if left else [])
    again.close()


def test_what_a_person_paused_elsewhere_is_left_alone(servers: Any) -> None:
    one, other = servers("one"), servers("other")
    job = _running(one)
    job.pause()
    job.worker.stopped(True, {}, park=True)
    one.sent()
    (other.home.around.inputs / "cat.png").write_bytes(b"a cat")
    assert _retried(other, GRAPH, OTHER_ID).view().retried is None


def test_a_store_that_never_answers_holds_no_job_up(servers: Any, monkeypatch: Any) -> None:
    one, other = servers("one"), servers("other")
    _running(one)
    one.sent()
    (other.home.around.inputs / "cat.png").write_bytes(b"a cat")
    never = threading.Event()
    monkeypatch.setattr("midrun.state.sharing.elsewhere.LOOK_S", 0.2)
    looks: list[str] = []
    monkeypatch.setattr(
        other.store.remote, "entries", lambda folder: looks.append(folder) or never.wait(30) and []
    )
    retries = _retries(other)
    try:
        assert _retried(other, GRAPH, OTHER_ID, retries).view().retried is None
        assert not never.is_set()
        looked = len([one for one in looks if one.startswith("graphs")])
        assert _retried(other, GRAPH, THIRD_ID, retries).view().retried is None
        assert len([one for one in looks if one.startswith("graphs")]) == looked == 1, (
            "the next waits no more"
        )
    finally:
        never.set()


def test_a_store_that_does_not_answer_is_told(servers: Any) -> None:
    one = servers("one")
    one.store.cut = True
    told = asyncio.run(one.shared.listed())
    assert "does not answer" in told["trouble"] and told["jobs"] == []
    with pytest.raises(Unavailable):
        one.take()


# -- inside ----------------------------------------------------------------------------------------------


def _running(server: Server) -> Job:
    """As `Home.job`, at work, and nobody edited it."""
    (server.home.around.inputs / "cat.png").write_bytes(b"a cat")
    job = server.home.registry.add(JOB, Request(GRAPH, {}), QueuePolicy.AUTO)
    assert job is not None
    job.runs.enter_queue()
    assert enter(job, JOB, NODE, STEPS) == 0
    server.home._sample(job)
    server.home.recordings.flush()
    job.note("sampled", {})
    return job


def _stops_when_asked(job: Job) -> None:
    until(lambda: job.state is State.PAUSING, "the pause")
    job.worker.stopped(True, {}, park=True)


def _retries(server: Server) -> Retries:
    class Nothing:
        def paths(self, prompt: Any) -> list[Path]:
            return []

    home = server.home
    retries = Retries(home.registry, home.recordings, Nothing(), lambda: True, lambda work: work.close())
    retries.elsewhere = Elsewhere(server.mirror, home.importing, home.recordings, home.around)
    return retries


def _retried(server: Server, prompt: Any, prompt_id: str, retries: Retries | None = None) -> Job:
    job = server.home.registry.add(prompt_id, Request(prompt, {}), QueuePolicy.AUTO)
    assert job is not None
    job.runs.enter_queue()
    (retries or _retries(server)).take_up(job)
    return job


def _while_beating(server: Server, work: Callable[[], Any]) -> Any:
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.05):
            server.claims.beat(server.store)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        return work()
    finally:
        ended.set()
        thread.join()


class _Silent:
    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def cat_file(self, path: str) -> bytes:
        time.sleep(1)
        return b""
