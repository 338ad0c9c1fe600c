"""Whether a file may be another than when a job was queued: its name does not tell. Any thread."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

CUT_OFF = 0.001  # seconds, of the time at which a job was queued


def changed_since(path: Path, stamp: str) -> bool:
    """Also where it was put there with an old time. stamp: as a job has it. Raises OSError."""
    since = datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    told = path.stat()
    return max(told.st_mtime, told.st_ctime) > since + CUT_OFF
