"""A webhook is told what became of jobs, and whatever it answers, no job is harmed."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

import graphs
from harness import Comfy
from test_control import pause_at, start

SETTINGS = ("Url", "Private", "Picture")


class Listener(ThreadingHTTPServer):
    """Notes what it is told; how: what it does with a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.how = "well"
        self.answer = b""
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(self.path)
        how = self.server.how
        if how == "never":
            self.server.released.wait(120)
            return
        if how == "garbage":
            self.wfile.write(b"\x00\xff not HTTP at all\r\n")
            return
        told = json.loads(body)
        self.server.told.append(told)
        if how == "late" and told["event"] == "ask":
            self.server.released.wait(120)
        if how == "elsewhere":
            self.send_response(307)
            self.send_header("Location", f"{self.server.url}-elsewhere")
            self.end_headers()
            return
        self.send_response(500 if how == "wrong" and len(self.server.told) < 2 else 200)
        self.end_headers()
        self.wfile.write(self.server.answer)
        if how == "large":
            for _ in range(80):
                self.wfile.write(b"x" * 65536)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def hook(comfy: Comfy) -> Iterator[Listener]:
    comfy.clear()
    listener = Listener()
    hooked(comfy, Url=listener.url, Private=True, Picture=False)
    yield listener
    hooked(comfy, Url="", Private=False, Picture=False)
    listener.released.set()
    listener.shutdown()
    listener.server_close()


def hooked(comfy: Comfy, **settings: Any) -> None:
    for name, value in settings.items():
        comfy.post(f"/settings/Midrun.Webhook{name}", value)


def events(hook: Listener) -> list[tuple[str, str]]:
    return [(one["event"], one["job"]["job_id"]) for one in hook.told]


def test_it_is_told_of_what_nobody_asked_for_and_of_ends(comfy: Comfy, hook: Listener) -> None:
    hooked(comfy, Picture=True)
    asked = start(comfy, "hook-asked", "2", seed=41)
    pause_at(comfy, asked, "hook-asked", 2)
    comfy.verb(asked, "resume")
    comfy.wait_for(asked, "completed")
    options = {"pause_at_step": 3, "preview": {"method": "latent2rgb"}}
    itself = comfy.queue(graphs.base(key="hook-itself", steps=5, seed=42, **options))
    comfy.wait_for(itself, "paused")
    comfy.until(lambda: len(hook.told) == 2, "the webhook to be told")
    assert events(hook) == [("completed", asked), ("paused", itself)]
    told = hook.told[1]
    assert (told["job"]["state"], told["job"]["step"], told["job"]["total_steps"]) == ("paused", 3, 5)
    assert Image.open(io.BytesIO(base64.b64decode(told["picture"]))).format == "WEBP"
    comfy.verb(itself, "abort")
    draft = {"prompt": graphs.base(key="hook-draft"), "vary": {"sampler": {"seed": [43]}}, "step": 2}
    (made,) = comfy.post("/midrun/drafts", draft)["jobs"]
    comfy.until(lambda: len(hook.told) == 3, "the webhook to be told of the draft")
    assert events(hook)[2] == ("choice", made["job_id"])


def test_an_error_is_tried_again_and_a_redirect_is_not_followed(comfy: Comfy, hook: Listener) -> None:
    hook.how = "wrong"
    first = start(comfy, "hook-wrong", seed=44)
    comfy.until(lambda: len(hook.told) == 2, "the second attempt")
    assert events(hook) == [("completed", first)] * 2
    hook.how = "elsewhere"
    start(comfy, "hook-elsewhere", seed=45)
    comfy.until(lambda: len(hook.told) == 3, "the redirect")
    hook.how = "well"
    last = start(comfy, "hook-last", seed=46)
    comfy.until(lambda: len(hook.told) == 4, "the next one to be told")
    assert events(hook)[3] == ("completed", last)
    assert hook.requests == ["/hook"] * 4, "nobody followed, nor tried that again"


def test_a_private_address_needs_a_tick(comfy: Comfy, hook: Listener) -> None:
    hooked(comfy, Private=False)
    start(comfy, "hook-private", seed=60)
    hooked_by_name = hook.url.replace("127.0.0.1", "localhost")
    comfy.until(lambda: "is a private address" in comfy.tail(4000), "the refusal in the log")
    hooked(comfy, Url=hooked_by_name)
    start(comfy, "hook-localhost", seed=61)
    comfy.until(lambda: "localhost is a private address" in comfy.tail(4000), "the second refusal")
    assert hook.requests == []


@pytest.mark.parametrize("how", ["large", "garbage", "never"])
def test_whatever_it_answers_no_job_is_harmed(comfy: Comfy, hook: Listener, how: str) -> None:
    hook.how = how
    ids = [start(comfy, f"hook-{how}-{number}", seed=50 + number) for number in range(3)]
    began = time.monotonic()
    for job_id in ids:
        comfy.wait_for(job_id, "completed")
    comfy.until(lambda: hook.requests, "the webhook to be asked")
    assert time.monotonic() - began < 60
    assert [comfy.job(job_id)["state"] for job_id in ids] == ["completed"] * 3
