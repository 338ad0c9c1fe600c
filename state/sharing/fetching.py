"""Jobs of other servers, out of the store: listed, and made into bundles, which are checked as any other.

Any thread that may wait. Methods raise Unreachable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from ..bundles.layout import FORMAT, JOB, BadBundle, Limits
from ..bundles.writing import PIECE, Part, bag, text_part
from .claims import Claim, Claims
from .manifest import Manifest, Piece, manifest_of
from .remote import Remote

MOST_LISTED = 1000
GONE = "the store lacks a part of it; perhaps its server has just completed it."


class OpenJobs:
    """What others show of jobs that are not over. What did not change is not read again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, dict[str, Any]]] = {}  # key -> (its mark, what it says)

    def listed(self, remote: Remote, claims: Claims) -> list[dict[str, Any]]:
        """The newest first. alive: whether its server lives; None while that is being found out"""
        known = {}
        for entry in remote.entries("open")[:MOST_LISTED]:
            mark, told = self._known.get(entry.name, ("", {}))
            if mark != entry.mark:
                told = _shown(remote, entry.name)
            known[entry.name] = (entry.mark, told)
        self._known = known
        found = [told | {"key": key} for key, (_, told) in known.items() if told]
        alive = {life: claims.lives(remote, life) for life in {one["life"] for one in found}}
        for one in found:
            one["alive"] = alive[one.pop("life")]
        return sorted(found, key=lambda one: -one["at"])


def newest_manifest(remote: Remote, key: str, number: int) -> Manifest | None:
    """Of the claim with that number, or of the one before it whose owner told anything. Raises BadBundle."""
    for earlier in range(number, 0, -1):
        try:
            return manifest_of(remote.get(f"jobs/{key}/claims/{earlier:06}.json", 60.0))
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise BadBundle(f"what the store tells of it cannot be read: {error}.") from error
    return None


def keep(remote: Remote, key: str, claim: Claim, manifest: Manifest) -> None:
    """What is so now is what the new owner begins with, whatever the one before may write yet."""
    remote.put(f"jobs/{key}/claims/{claim.name}.json", manifest.to_bytes(), 60.0)


def bundled(
    remote: Remote, key: str, manifest: Manifest, limits: Limits, wanted: Callable[[str], bool]
) -> Iterator[bytes]:
    """A bundle of the files that are wanted. Raises BadBundle where the store has not what it tells."""
    size = sum(piece.size for piece in manifest.files.values())
    if size > limits.bytes or len(manifest.files) > limits.entries:
        raise BadBundle("it is larger than the limit in ComfyUI's settings, under Midrun.")

    def parts() -> Iterator[Part]:
        whole = _Whole(remote, key)
        chosen = sorted((piece.blob, piece.start, name) for name, piece in manifest.files.items())
        for _, _, name in chosen:
            piece = manifest.files[name]
            if wanted(name):
                yield Part(name, piece.size, lambda piece=piece: whole.pieces(piece))
        yield text_part(JOB, json.dumps(manifest.job).encode())

    return bag(parts(), {"Midrun-Format": FORMAT})


class _Whole:
    """Objects that several files share are read once, and are what their names say."""

    def __init__(self, remote: Remote, key: str) -> None:
        self._remote = remote
        self._folder = f"jobs/{key}/blobs"
        self._read: tuple[str, bytes] = "", b""

    def pieces(self, piece: Piece) -> Iterator[bytes]:
        if piece.start == 0 and self._read[0] != piece.blob and piece.size > 32 * 1024**2:
            yield from self._streamed(piece)
            return
        if self._read[0] != piece.blob:
            try:
                content = self._remote.get(f"{self._folder}/{piece.blob}", 300.0)
            except FileNotFoundError as error:
                raise BadBundle(GONE) from error
            if hashlib.sha256(content).hexdigest() != piece.blob:
                raise BadBundle("a part of it in the store is not what was sent: its SHA-256 is another.")
            self._read = piece.blob, content
        yield self._read[1][piece.start : piece.start + piece.size]

    def _streamed(self, piece: Piece) -> Iterator[bytes]:
        digest, name = hashlib.sha256(), f"{self._folder}/{piece.blob}"
        for start in range(0, piece.size, 8 * PIECE):
            try:
                content = self._remote.get_part(name, start, min(8 * PIECE, piece.size - start))
            except FileNotFoundError as error:
                raise BadBundle(GONE) from error
            digest.update(content)
            yield content
        if digest.hexdigest() != piece.blob:
            raise BadBundle("a part of it in the store is not what was sent: its SHA-256 is another.")


def _shown(remote: Remote, key: str) -> dict[str, Any]:
    """Of a stranger: what is not as it should be is not listed."""
    try:
        told = json.loads(remote.get(f"open/{key}"))
        names = {"job_id": str, "state": str, "host": str, "life": str, "step": int}
        if not all(isinstance(told[name], kind) for name, kind in names.items()):
            return {}
        found = {name: told[name][:200] if kind is str else told[name] for name, kind in names.items()}
        for name in ("workflow", "node_id"):
            found[name] = told[name][:200] if isinstance(told.get(name), str) else None
        total = told.get("total_steps")
        found["total_steps"] = total if isinstance(total, int) else None
        return found | {"at": float(told["at"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
