"""Where Midrun keeps its files: one directory a server, and names for ids that come from clients."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
_PLAIN = re.compile(r"[0-9]{1,20}|[0-9a-z_-]{8,64}")  # safe on every file system; too long for "con" or "nul"

_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


def directory_name(any_id: str) -> str:
    """A name for an id that may be anything: itself where that is harmless, else its hash."""
    if _PLAIN.fullmatch(any_id):
        return any_id
    return "=" + hashlib.sha256(any_id.encode(errors="surrogatepass")).hexdigest()[:40]


class ServerDirectory:
    """A directory that belongs to this server alone, for as long as it lives.

    The second server on one user directory gets a subdirectory. Raises OSError when nothing can be written.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory
        self.crashed = False  # the server that had it before did not end in order
        self._lock = self._locked(directory)
        number = 1
        while self._lock is None:
            number += 1
            self.path = directory / f"server-{number}"
            self.path.mkdir(exist_ok=True)
            self._lock = self._locked(self.path)
        if number > 1:
            log.warning(
                "Midrun: another ComfyUI server uses %s, so this one keeps its jobs in %s",
                directory,
                self.path,
            )

    @property
    def database(self) -> Path:
        return self.path / "midrun.db"

    def close(self) -> None:
        """Everything is written: the next server need not look after it."""
        if self._lock is not None and not self._lock.closed:
            self._lock.truncate(0)
            self._lock.close()

    def _locked(self, directory: Path) -> Any:
        file = _locked(directory)
        if file is not None:
            file.seek(0)
            self.crashed = bool(file.read().strip())
            file.truncate(0)
            file.write(f"process {os.getpid()}\n")
            file.flush()
        return file


def _locked(directory: Path) -> Any:
    """An open file that is locked until it is closed or its process dies; None where another has it."""
    file = (directory / "lock").open("a+")
    file.seek(0)
    try:
        if os.name == "nt":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            file.close()
            return None
        log.warning("Midrun: %s cannot be locked (%s); let no second server use it", file.name, error)
    if hasattr(os, "register_at_fork"):  # a child that outlives this server must not keep the lock
        os.register_at_fork(after_in_child=file.close)
    return file
