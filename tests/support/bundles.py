"""Bundles for tests: sent from one server to another, taken apart, and put together otherwise."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from harness import Comfy

BAG = "midrun-job"
Files = dict[str, bytes]  # name within the bag -> content


def exported(comfy: Comfy, job_id: str) -> bytes:
    status, headers, content = comfy.fetch(f"/midrun/jobs/{job_id}/bundle")
    assert status == 200, content
    assert headers["Content-Disposition"].endswith('.midrun"')
    return content


def imported(comfy: Comfy, bundle: bytes) -> dict[str, Any]:
    status, told = comfy.call("POST", "/midrun/jobs/import", bundle)
    assert status == 201, told
    return told


def files_in(bundle: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name.removeprefix(f"{BAG}/"): archive.read(name) for name in archive.namelist()}


def job_in(bundle: bytes) -> dict[str, Any]:
    return json.loads(files_in(bundle)["data/job.json"])


def with_job(files: Files, change: Callable[[dict[str, Any]], Any]) -> Files:
    """The files with another job.json."""
    told = json.loads(files["data/job.json"])
    change(told)
    return {**files, "data/job.json": json.dumps(told).encode()}


def sealed(files: Files) -> Files:
    """With manifests that fit what is in `data/`."""
    payload = {name: content for name, content in files.items() if name.startswith("data/")}
    size = sum(len(content) for content in payload.values())
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": f"Payload-Oxum: {size}.{len(payload)}\n".encode(),
        "manifest-sha256.txt": _manifest(payload),
    }
    return {**payload, **tags, "tagmanifest-sha256.txt": _manifest(tags)}


def zipped(files: Files, compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, one in files.items():
            archive.writestr(f"{BAG}/{name}", one)
    return content.getvalue()


def _manifest(files: Files) -> bytes:
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    return "".join(lines).encode()
