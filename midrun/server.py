"""The REST API of a running ComfyUI with Midrun, for programs beside it. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

USUAL = "http://127.0.0.1:8188"
ANSWER_S = 120.0  # within which a server answers anything but an import


class Trouble(Exception):
    """No answer, or a refusal; the message says what to do. code: of a refusal, such as unknown_job"""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Server:
    """url: of ComfyUI, as in the browser; without it MIDRUN_SERVER, or ComfyUI's usual one on this machine"""

    def __init__(self, url: str | None = None) -> None:
        self.url = (url or os.environ.get("MIDRUN_SERVER") or USUAL).rstrip("/")

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, body)

    def ask(self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None) -> Any:
        """The answer's JSON; None where there is none. Raises Trouble."""
        return self._json(self.read(method, path, body, query))

    def read(self, method: str, path: str, body: Any = None, query: dict[str, Any] | None = None) -> bytes:
        """What it answers, such as a picture. Raises Trouble."""
        data = None if body is None else json.dumps(body).encode()
        return self._send(method, path, query, data, "application/json", ANSWER_S)

    def upload(self, path: str, file: Path, seconds: float) -> Any:
        """POST what is in the file, of any size. Raises Trouble, or OSError where it cannot be read.

        seconds: within which the server takes the next part of it, or answers
        """
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = self._send("POST", path, None, stream, "application/octet-stream", seconds, size)
        return self._json(content)

    def _json(self, content: bytes) -> Any:
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            raise Trouble(f"{self.url} answered with something that is not JSON. Is it ComfyUI?") from error

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None,
        data: Any,
        kind: str,
        seconds: float | None,
        size: int | None = None,
    ) -> bytes:
        asked = {name: told for name, told in (query or {}).items() if told is not None}
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(asked)}" if asked else "")
        try:
            request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": kind})
            if size is not None:
                request.add_header("Content-Length", str(size))
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "reason", error)
            told = f"No ComfyUI answers at {self.url} ({why}). Start it, or name another address."
            raise Trouble(told) from error

    def _refusal(self, error: urllib.error.HTTPError) -> Trouble:
        try:
            told = json.loads(error.read())["error"]
            return Trouble(str(told["message"]), str(told["code"]))
        except (ValueError, LookupError, TypeError):
            if error.code == 404:
                return Trouble(f"The ComfyUI at {self.url} has no Midrun, or an older one. Install it there.")
            return Trouble(f"The ComfyUI at {self.url} answered with the status {error.code}.")
