"""Whose job is whose: numbered objects that are created exclusively, and beats that tell who lives.

Any thread that may wait. Safety needs no clock: who creates the next number owns the job, and what the owner
of an earlier one still writes is read by nobody.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..errors import MidrunError
from .remote import Remote

SILENT_S = 10.0  # a server whose beat does not change for so long is taken for dead; it beats five times
NUMBER = re.compile(r"\d{6}")
BEATS = "servers"


class Taken(MidrunError):
    """Another server has the job; the message is a sentence."""

    code = "taken"


class NotInStore(MidrunError):
    """There is nothing in the store to go on from; the message is a sentence."""

    code = "not_in_store"


@dataclass(frozen=True)
class Owner:
    """A server's process. home: its directory, which outlives the process"""

    life: str
    home: str
    host: str


@dataclass(frozen=True)
class Claim:
    """The newest of a job."""

    number: int
    owner: Owner

    @property
    def name(self) -> str:
        return f"{self.number:06}"


class Claims:
    """Of this server in a store. Methods raise Unreachable."""

    def __init__(
        self, home: str, silent_s: float = SILENT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.me = Owner(uuid.uuid4().hex, home, socket.gethostname()[:100])
        self.silent_s = silent_s
        self.beat_s = silent_s / 5
        self._clock = clock
        self._lock = threading.Lock()
        self._beats: dict[str, _Beat] = {}  # by life

    def newest(self, remote: Remote, key: str) -> Claim | None:
        names = [one.name for one in remote.entries(_folder(key)) if NUMBER.fullmatch(one.name)]
        return _claim(remote, key, int(max(names))) if names else None

    def create(self, remote: Remote, key: str, number: int) -> Claim | None:
        """None where somebody else has that number."""
        told = {**asdict(self.me), "token": uuid.uuid4().hex}
        claim = Claim(number, self.me)
        made = remote.create(f"{_folder(key)}/{claim.name}", json.dumps(told).encode())
        return claim if made else None

    def take(self, remote: Remote, key: str) -> tuple[Claim, Claim]:
        """The job is this server's from now on: (its claim, the one before). Raises Taken or NotInStore.

        Waits until the owner is silent for long enough, but for one that left in order, or was this server.
        """
        before = self.newest(remote, key)
        if before is None:
            raise NotInStore("There is no such job in the store.")
        is_free = self.is_given_up(remote, key, before)
        if before.owner.life == self.me.life and not is_free:
            return before, before
        is_free = is_free or before.owner.home == self.me.home
        if not is_free and self.lives(remote, before.owner.life, wait=True):
            host = before.owner.host
            raise Taken(
                f"The server on {host} has this job and lives. Resume it there, or drain that server."
            )
        if not is_free:  # nobody has to wait for that silence again
            remote.delete([f"{BEATS}/{before.owner.life}"])
        mine = self.create(remote, key, before.number + 1)
        if mine is None:
            raise Taken("Another server took this job at the same time.")
        return mine, before

    def give_up(self, remote: Remote, key: str, claim: Claim) -> None:
        """Whoever wants the job need not wait for it."""
        remote.put(_given_up(key, claim), b"free")

    def is_given_up(self, remote: Remote, key: str, claim: Claim) -> bool:
        return remote.exists(_given_up(key, claim))

    def is_overtaken(self, remote: Remote, key: str, claim: Claim) -> bool:
        return remote.exists(f"{_folder(key)}/{claim.number + 1:06}")

    # -- who lives -------------------------------------------------------------------------------------

    def beat(self, remote: Remote) -> None:
        remote.put(f"{BEATS}/{self.me.life}", json.dumps({"beat": uuid.uuid4().hex}).encode())

    def end(self, remote: Remote, within_s: float) -> None:
        """In order: nobody has to wait for this server's silence."""
        remote.delete([f"{BEATS}/{self.me.life}"], within_s)

    def lives(self, remote: Remote, life: str, wait: bool = False) -> bool | None:
        """None while that cannot be told yet; wait: until it beats once more or was silent for too long."""
        if life == self.me.life:
            return True
        first: str | None = None
        while True:
            self._look(remote)
            beat = self._beats.get(life)
            if beat is None:
                return False
            if self._clock() - beat.since >= self.silent_s:
                return False
            if not wait:
                return True if beat.changed else None
            first = first or beat.mark
            if beat.mark != first:
                return True
            time.sleep(self.silent_s / 20)

    def _look(self, remote: Remote) -> None:
        """One request, however many servers there are."""
        marks = {one.name: one.mark for one in remote.entries(BEATS)}
        now = self._clock()
        with self._lock:
            self._beats = {life: self._beat(life, mark, now) for life, mark in marks.items()}

    def _beat(self, life: str, mark: str, now: float) -> _Beat:
        known = self._beats.get(life)
        if known is None:
            return _Beat(mark, now, False)
        return known if known.mark == mark else _Beat(mark, now, True)


@dataclass(frozen=True)
class _Beat:
    """since: when it was seen first; changed: it took the place of another"""

    mark: str
    since: float
    changed: bool


def _claim(remote: Remote, key: str, number: int) -> Claim | None:
    try:
        told = json.loads(remote.get(f"{_folder(key)}/{number:06}"))
        return Claim(number, Owner(str(told["life"]), str(told["home"]), str(told["host"])))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _given_up(key: str, claim: Claim) -> str:
    return f"{_folder(key)}/{claim.name}.free"


def _folder(key: str) -> str:
    return f"jobs/{key}/claims"
