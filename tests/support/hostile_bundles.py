"""Some 400 bundles that must not be taken in, each made from a good one. By name, in a fixed order."""

from __future__ import annotations

import copy
import io
import json
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from bundles import BAG, Files, files_in, sealed, with_job, zipped
from midrun.state.recording import tensor_file

CALL = "data/recording/3.0"
Hostile = tuple[str, bytes]
NAMES = (
    "../evil",
    "data/../../evil",
    "/etc/passwd",
    "C:\\evil",
    "data\\job.json",
    "data/recording/3.0/../../evil.safetensors",
    "data/recording/3.0/000000.safetensors/",
    "data/recording/3.0/000000.SAFETENSORS",
    "data/recording/3.0/000000.pt",
    "data/recording/3.0/evil.safetensors",
    "data/recording/3.0/x.safetensors",
    "data/recording/3/000000.safetensors",
    "data/recording/CON.0/000000.safetensors",
    "data/recording/../3.0/000000.safetensors",
    "data/recording/3.0/000000.safetensors.tmp",
    "data/recording/3.0/1.safetensors",
    "data/previews/3/evil.html",
    "data/previews/3/step-1.webp",
    "data/previews/../step-000001.webp",
    "data/inputs/evil.py",
    "data/inputs/00001.png",
    "data/inputs/../../0001.png",
    "data/job.json ",
    "data/other.json",
    "data/jöb.json",
    "fetch.txt",
    "a" * 60_000,
)


def hostile(bundle: bytes) -> Iterator[Hostile]:
    """bundle: of two_homes"""
    files = files_in(bundle)
    for made in (_cut_off, _changed, _named, _unlisted, _as_zips, _ends):
        yield from made(bundle, files)
    yield from _of_jobs(files)
    yield from _of_recordings(files)


def _cut_off(bundle: bytes, files: Files) -> Iterator[Hostile]:
    for part in range(30):
        yield f"cut off after {part} of 30", bundle[: len(bundle) * part // 30]
    yield "cut off by one byte", bundle[:-1]
    yield "longer by one byte", bundle + b"x"
    yield "not a zip", b"hello" * 100


def _changed(bundle: bytes, files: Files) -> Iterator[Hostile]:
    """A file is another than its hash says: as a zip that is sound, and as one that is not."""
    for name, content in files.items():
        other = bytes([content[0] ^ 1]) + content[1:]
        yield f"{name} is another", zipped({**files, name: other})
        at = bundle.index(content[:200])
        yield f"a bit of {name} is another", bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :]


def _named(bundle: bytes, files: Files) -> Iterator[Hostile]:
    for name in NAMES:
        yield f"a file is called {name[:60]}", zipped(sealed({**files, name: b"x"}) | {name: b"x"})
    for place in ("", "/", "..", "other-job", "midrun-job/midrun-job"):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, one in files.items():
                archive.writestr(f"{place}/{name}", one)
        yield f"all is in {place!r}", content.getvalue()


def _unlisted(bundle: bytes, files: Files) -> Iterator[Hostile]:
    for name in files:
        yield f"{name} is missing", zipped({other: one for other, one in files.items() if other != name})
    good = f"{CALL}/000003.safetensors"
    yield "a file is in no list", zipped({**files, good: files[f"{CALL}/000002.safetensors"]})
    for name in ("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"):
        yield f"{name} is empty", zipped({**files, name: b""})
        yield f"{name} is no text", zipped({**files, name: b"\xff\xfe\x00"})
    twice = sealed(files)
    twice["manifest-sha256.txt"] += twice["manifest-sha256.txt"]
    yield "the list has each file twice", zipped(twice)


def _as_zips(bundle: bytes, files: Files) -> Iterator[Hostile]:
    for name, kind in (("deflate", 8), ("bzip2", 12), ("lzma", 14)):
        yield f"it is compressed with {name}", zipped(files, kind)
    bomb = {**files, "data/job.json": b" " * 50_000_000 + files["data/job.json"]}
    yield "a bomb", zipped(sealed(bomb), zipfile.ZIP_DEFLATED)
    for name, attributes in (("symlink", 0o120777), ("device", 0o060644), ("fifo", 0o010644)):
        yield f"a file is a {name}", _with_entries(files, lambda info, mode=attributes: _mode(info, mode))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, one in (*files.items(), ("data/job.json", b"{}")):
            archive.writestr(f"{BAG}/{name}", one)
    yield "two files have one name", content.getvalue()
    yield "a file is encrypted", _patched(bundle, 8, struct.pack("<H", 0x1))
    yield "a file lies within another", _one_in_another(files)
    yield "files overlap", _patched(bundle, 42, struct.pack("<L", 0))
    yield "a file begins behind the end", _patched(bundle, 42, struct.pack("<L", 2**31))
    yield "a file is larger than all", _patched(bundle, 20, struct.pack("<LL", 2**31, 2**31))


def _one_in_another(files: Files) -> bytes:
    """A preview lies within an input file: bytes that count twice."""
    inner, outer = "data/previews/3/step-000003.webp", "data/inputs/0001.png"
    within = _local_header(inner, files[inner]) + files[inner]
    body, listed = b"", b""
    whole = sealed({**files, outer: within})
    for name, content in whole.items():
        at = len(body)
        if name == inner:
            continue
        body += _local_header(name, content) + content
        listed += _listing(name, content, at)
        if name == outer:
            listed += _listing(inner, files[inner], at + len(_local_header(name, content)))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(whole), len(whole), len(listed), len(body), 0)
    return body + listed + end


def _local_header(name: str, content: bytes) -> bytes:
    named = f"{BAG}/{name}".encode()
    sizes = zlib.crc32(content), len(content), len(content), len(named), 0
    return struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 33, *sizes) + named


def _listing(name: str, content: bytes, at: int) -> bytes:
    named = f"{BAG}/{name}".encode()
    sizes = zlib.crc32(content), len(content), len(content), len(named), 0, 0, 0, 0, 0, at
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, *sizes) + named


def _mode(info: zipfile.ZipInfo, mode: int) -> None:
    info.external_attr = mode << 16


def _with_entries(files: Files, change: Callable[[zipfile.ZipInfo], None]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, one in files.items():
            info = zipfile.ZipInfo(f"{BAG}/{name}")
            if name.endswith("000001.safetensors"):
                change(info)
            archive.writestr(info, one)
    return content.getvalue()


def _patched(bundle: bytes, at: int, content: bytes) -> bytes:
    """The last entry of the list of files is another."""
    place = bundle.rindex(b"PK\x01\x02") + at
    return bundle[:place] + content + bundle[place + len(content) :]


def _ends(bundle: bytes, files: Files) -> Iterator[Hostile]:
    """The end of the zip says what is not so."""
    head, end = bundle[:-22], bundle[-22:]
    for name, at, told in (
        ("a million files, by Zip64", 8, b"\xff\xff\xff\xff"),
        ("65534 files", 8, struct.pack("<HH", 65534, 65534)),
        ("a list of 4 GB", 12, struct.pack("<L", 2**32 - 2)),
        ("a list behind the end", 16, struct.pack("<L", 2**32 - 2)),
        ("several disks", 4, struct.pack("<H", 3)),
        ("a comment", 20, struct.pack("<H", 9)),
        ("no files", 8, struct.pack("<HH", 0, 0)),
        ("a list of no bytes", 12, struct.pack("<L", 0)),
    ):
        yield f"the end tells of {name}", head + end[:at] + told + end[at + len(told) :]
    yield "a million files", a_million_files()


def a_million_files(count: int = 1_000_000) -> bytes:
    """A list of so many files, as small as can be, with an end of Zip64 that says so."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed = entry * count
    size = len(listed)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return listed + end64 + locator + end


def _of_jobs(files: Files) -> Iterator[Hostile]:
    def told(name: str, change: Callable[[dict[str, Any]], Any]) -> Hostile:
        return name, zipped(sealed(with_job(files, change)))

    def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], Any]:
        def change(job: dict[str, Any]) -> None:
            for key in path[:-1]:
                job = job[key]
            job[path[-1]] = value

        return change

    whole = json.loads(files["data/job.json"])
    for value in ("midrun-bundle-2", None, 7):
        yield told(f"the format is {value}", put("format", value=value))
    for name in whole:
        yield told(f"job.json has no {name}", lambda job, name=name: job.pop(name))
        yield told(f"{name} in job.json is wrong", put(name, value={"x": [1]}))
    for name in whole["job"]:
        yield told(f"the job has no {name}", lambda job, name=name: job["job"].pop(name))
        yield told(f"the {name} of the job is wrong", put("job", name, value=[{"x": -1.5}]))
    for name, path, value in (
        ("running", ("job", "state"), "running"),
        ("in an unknown state", ("job", "state"), "dancing"),
        ("further than its recording", ("job", "evaluations"), 99),
        ("at step -1", ("job", "step"), -1),
        ("at step 1.5", ("job", "step"), 1.5),
        ("at a huge step", ("job", "step"), 10**30),
        ("at sigma true", ("job", "sigma"), True),
        ("called ../..", ("job", "job_id"), "../.."),
        ("called by a surrogate", ("job", "job_id"), "\ud800"),
        ("of yesterday", ("job", "updated_at"), "yesterday"),
        ("of month 13", ("job", "updated_at"), "2026-13-01T00:00:00.000Z"),
        ("with another column", ("job", "secret_keys"), ["x"]),
        ("with a breakpoint that is none", ("job", "breakpoints"), [{"kind": "eval", "value": "1"}]),
        ("with an edit twice pending", ("job", "modified_params", "3", "cfg"), _pending(2)),
        ("with an edit of nothing", ("job", "modified_params", "3", "cfg"), []),
        ("with a node that is none", ("job", "prompt", "3"), "x"),
        ("with a node without a class", ("job", "prompt", "3"), {"inputs": {}}),
        ("with a text that cannot be stored", ("job", "prompt", "3", "inputs", "x"), "\udfff"),
        ("with an infinite number", ("job", "prompt", "3", "inputs", "x"), float("inf")),
        ("with NaN", ("job", "sigma"), float("nan")),
        ("with an event of no time", ("events", 0, "at"), "now"),
        ("with an event of no state", ("events", 0, "state_to"), "x"),
        ("with a measurement of no step", ("telemetry", 0, "step"), "x"),
        ("with a preview of no kind", ("previews", 0, "kind"), "x"),
        ("with a preview of odd size", ("previews", 0, "width"), -1),
        ("with a preview with an odd digest", ("previews", 0, "digest"), "&evil"),
        ("with an input that is a page", ("inputs", 0, "name"), "evil.html"),
        ("with an input elsewhere", ("inputs", 0, "file"), "../cat.png"),
        ("with an input that is not there", ("inputs", 0, "file"), "0002.png"),
        ("with no input", ("inputs",), []),
    ):
        yield told(f"the job is {name}", put(*path, value=value))
    yield "job.json is nested deeply", _with(files, "data/job.json", b"[" * 200_000)
    yield "job.json is a list", _with(files, "data/job.json", b"[]")
    yield "job.json is no JSON", _with(files, "data/job.json", b"{")
    yield "job.json is no text", _with(files, "data/job.json", b"\xff\xfe")
    yield "job.json has a huge number", _with(files, "data/job.json", b'{"format": ' + b"1" * 100_000 + b"}")


def _pending(count: int) -> list[dict[str, Any]]:
    return [{"from": 1, "to": 2, "from_step": None, "in_node": None}] * count


def _with(files: Files, name: str, content: bytes) -> bytes:
    return zipped(sealed({**files, name: content}))


def _without(files: Files, name: str) -> bytes:
    return zipped(sealed({other: one for other, one in files.items() if other != name}))


def _of_recordings(files: Files) -> Iterator[Hostile]:
    evaluation, inputs, segment = "000001", "inputs", "segment-000002"
    for name in (evaluation, inputs, segment, "x-000001", "step-000002", "conditions-000002"):
        file = f"{CALL}/{name}.safetensors"
        content = files[file]
        yield f"{name} is cut off", _with(files, file, content[: len(content) // 2])
        yield f"{name} is no tensors", _with(files, file, b"PK\x03\x04" * 10)
        yield f"{name} has a huge header", _with(files, file, struct.pack("<Q", 2**40) + content[8:])
        yield f"{name} is empty", _with(files, file, b"")
        about = tensor_about(content)
        for key in about:
            odd = with_about(content, lambda told, key=key: told.update({key: {"x": ["odd"]}}))
            yield f"{key} of {name} is wrong", _with(files, file, odd)
            gone = with_about(content, lambda told, key=key: told.pop(key))
            yield f"{name} has no {key}", _with(files, file, gone)
        for tensor in tensors_in(content):
            for odd, change in ODD_TENSORS.items():
                made = with_tensor(content, tensor, change)
                if made is not None:
                    yield f"{tensor} of {name} is {odd}", _with(files, file, made)
    first = files[f"{CALL}/{evaluation}.safetensors"]
    yield "an evaluation is missing", _without(files, f"{CALL}/{evaluation}.safetensors")
    yield "the inputs are missing", _without(files, f"{CALL}/inputs.safetensors")
    of_another = with_about(files[f"{CALL}/inputs.safetensors"], lambda told: told.update(node_id="4"))
    yield "the inputs are another node's", _with(files, f"{CALL}/inputs.safetensors", of_another)
    for name, skeleton in (
        ("a class of this process", {"class": ["subprocess", "CompletedProcess"], "fields": []}),
        ("an answer of another library", {"class": ["subprocess", "SomeOutput"], "fields": []}),
        ("no answer of its library", {"class": ["diffusers.x", "Pipeline"], "fields": []}),
        ("a nested class", {"class": ["diffusers.x", "A.BOutput"], "fields": []}),
        ("nested deeply", _nested(80)),
        ("of no tensor", {"tensor": "9", "aside": True}),
        ("of an unknown kind", {"set": []}),
        ("nothing", {}),
        ("a list", []),
    ):
        made = with_about(first, lambda told, skeleton=skeleton: told.update(tree=skeleton))
        yield f"an answer is {name}", _with(files, f"{CALL}/{evaluation}.safetensors", made)
    for name, raw in (("orders", {"answer": [0, 0, 1, 2]}), ("orders", {"x": [0]}), ("crc32", {})):
        made = with_told(first, name, raw)
        yield f"the {name} are {raw}", _with(files, f"{CALL}/{evaluation}.safetensors", made)
    yield (
        "the format of a file is another",
        _with(files, f"{CALL}/{evaluation}.safetensors", first.replace(b"midrun-1", b"midrun-9")),
    )
    yield "a preview is a page", _with(files, "data/previews/3/step-000003.webp", b"<script>")


def _nested(depth: int) -> dict[str, Any]:
    return {"value": 1} if depth == 0 else {"list": [_nested(depth - 1)]}


# -- files of a recording --------------------------------------------------------------------------------


def _ints(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.to(torch.int64) if tensor.is_floating_point() else tensor.to(torch.float32)


def _wider(tensor: torch.Tensor) -> torch.Tensor | None:
    return torch.cat([tensor, tensor], -1)


def _deeper(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor[None]


ODD_TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor | None]] = {
    "of another dtype": _ints,
    "of another shape": _wider,
    "of more dimensions": _deeper,
}
FREE = ("sigmas", "given", "tap.0.denoised")  # which may have any length, or any shape


def tensors_in(content: bytes) -> dict[str, torch.Tensor]:
    return _read(content)[0]


def tensor_about(content: bytes) -> dict[str, Any]:
    return _read(content)[1]


def with_about(content: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    tensors, about = _read(content)
    changed = copy.deepcopy(about)
    change(changed)
    return tensor_file.encode(tensors, changed)


def with_tensor(content: bytes, name: str, change: Callable[[torch.Tensor], Any]) -> bytes | None:
    """None where that may be."""
    tensors, about = _read(content)
    if name in FREE and change is not _ints:
        return None
    return tensor_file.encode({**tensors, name: change(tensors[name])}, about)


def with_told(content: bytes, name: str, value: Any) -> bytes:
    """With something else in the header than tensor_file writes."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    told = json.loads(header["__metadata__"]["midrun"]) | {name: value}
    header["__metadata__"]["midrun"] = json.dumps(told)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]


def _read(content: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "file"
        file.write_bytes(content)
        return tensor_file.read(file)
