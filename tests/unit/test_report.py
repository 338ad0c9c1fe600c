"""A job's report: one file, small enough, in which whatever people wrote is text."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from midrun.state.job.view import JobError, Origin
from midrun.state.pictures.fitting import at_most, fitted
from midrun.state.reports.content import Content, Shot, spread
from midrun.state.reports.page import page
from midrun.state.services.reporting import MOST, _drawn
from midrun.state.states import AbortMode, State
from midrun.state.telemetry import Telemetry
from midrun.state.workflow.edits import Edit
from test_store import view

HOSTILE = "</script></title></style><img src=x onerror=alert(1)>\"' onload=alert(2) <!-- ]]> \ud800\x00\u202e"
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "h1",
    "h2",
    "p",
    "main",
    "footer",
    "script",
}
TAGS |= {"div", "figure", "figcaption", "img", "button", "input", "span", "svg", "polyline"}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}


class Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(told)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def picture(edge: int = 32, seed: int = 0) -> bytes:
    """Noise, which no encoder makes small."""
    image = Image.frombytes("RGB", (edge, edge), random.Random(seed).randbytes(3 * edge * edge))
    content = io.BytesIO()
    image.save(content, "WEBP", quality=90)
    return content.getvalue()


def shots(count: int, content: bytes | None = None) -> tuple[Shot, ...]:
    return tuple(
        Shot(Telemetry("3", step, 1.5, step / 9, 2.0, 0.5, 1 << 30, "3"), content)
        for step in range(1, count + 1)
    )


def hostile() -> Content:
    """With everything in it that a person or a client can write."""
    job = view(
        "j" + HOSTILE,
        State.ABORTED,
        node_id=HOSTILE,
        step=2,
        abort_reason=HOSTILE,
        abort_mode=AbortMode.STOP,
        error=JobError(HOSTILE, HOSTILE, HOSTILE),
        origin=Origin("w", HOSTILE),
        edits={
            HOSTILE: {HOSTILE: (Edit(HOSTILE, {"text": HOSTILE}, 1, HOSTILE), Edit({"text": HOSTILE}, None))}
        },
    )
    events = [{"at": HOSTILE, "kind": HOSTILE, "step": 1, "detail": {HOSTILE: [HOSTILE]}}]
    kin = (
        replace(job, state=State.FAILED, parent_id=job.job_id, parent_step=1),
        replace(job, job_id=HOSTILE),
    )
    steps = (Shot(Telemetry(HOSTILE, 1, 1.0, 0.5, 1.0, 0.1, 5, HOSTILE), picture()), *shots(2))
    return Content(HOSTILE, job, HOSTILE, steps, 9, picture(), events, kin, {HOSTILE: HOSTILE})


def test_whatever_people_wrote_is_text() -> None:
    told = page(hostile()).decode()
    seen = Seen(told)
    assert {tag for tag, _ in seen.tags} <= TAGS
    assert [tag for tag, _ in seen.tags].count("script") == 1
    names = {name for _, attributes in seen.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in ("style", "srcdoc", "href")}
    sources = [attributes["src"] or "" for _, attributes in seen.tags if "src" in attributes]
    assert sources and all(source.startswith("data:image/webp;base64,") for source in sources)
    shown = "".join(seen.text)
    assert shown.count("<img src=x onerror=alert(1)>") >= 10, "it is there, as text"
    assert told.count("</script>") == 1 and "\u202e" not in told


def test_it_does_not_tell_where_files_lie_nor_whose_they_are() -> None:
    error = JobError("OSError", "cannot read '/home/somebody/models/x.safetensors'", "3")
    job = view("j", State.FAILED, error=error)
    windows = {"error": "cannot open C:\\Users\\somebody\\y.png", "more": [error.message]}
    events = [{"at": "now", "kind": "failed", "step": 1, "detail": windows}]
    kin = (replace(job, job_id="k", parent_id="j", parent_step=1),)
    told = page(Content("n", job, "now", events=events, relatives=kin)).decode()
    assert "somebody" not in told and told.count("…/x.safetensors") == 3 and "…/y.png" in told


def test_nothing_but_its_own_script_and_style_may_run() -> None:
    told = page(hostile()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', told)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (rules["default-src"], rules["img-src"]) == ("'none'", "data:")
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (inside,) = re.findall(f"<{tag}>(.+?)</{tag}>", told, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"


def test_a_job_of_which_nothing_is_known_has_a_report() -> None:
    assert b"No step of this job is known." in page(Content("n", view("j"), "now"))


def test_it_is_under_5_mb_with_pictures_as_large_as_there_is_room_for() -> None:
    content = Content("n", view("j"), "now", shots(150, picture(320)), 150, picture(320))
    told = _drawn(content)
    assert MOST // 2 < len(told) <= MOST
    assert told.count(b"<img ") == 151
    few = replace(content, shots=content.shots[:3])
    assert base64.b64encode(picture(320)) in _drawn(few), "as they are, where there is room"


@pytest.mark.parametrize(("most", "left"), [(30_000, 12), (4000, 1), (0, 0)])
def test_pictures_become_smaller_before_any_is_left_out(most: int, left: int) -> None:
    pictures = [picture(128, seed) for seed in range(12)]
    made = fitted([*pictures, None, b"no picture"], most)
    there = [one for one in made if one is not None]
    assert len(made) == 14 and len(there) >= left and sum(map(len, there)) <= most
    assert fitted(pictures, 10**9) == pictures


def test_a_small_picture_is_asked_for_by_its_longer_side() -> None:
    small = Image.open(io.BytesIO(at_most(picture(128), 64)))
    assert (small.format, small.size) == ("WEBP", (64, 64))
    assert at_most(picture(32), 64) == picture(32) and at_most(b"no picture", 64) == b"no picture"
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    video = io.BytesIO()
    frames[0].save(video, "WEBP", save_all=True, append_images=frames[1:])
    assert not Image.open(io.BytesIO(at_most(video.getvalue(), 64))).is_animated


def test_steps_are_left_out_evenly() -> None:
    assert spread(range(5), 9) == [0, 1, 2, 3, 4]
    assert spread(range(101), 5) == [0, 25, 50, 75, 100]
