"""A server that speaks S3, for tests and benchmarks: moto's, of the directory that MIDRUN_S3 names.

s3fs and moto[server] are installed there: `pip install --target DIRECTORY s3fs "moto[server]"`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness import free_port

PACKAGES = os.environ.get("MIDRUN_S3", "")
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
STORE = "s3://midrun/store"
SIGNED = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=b"
START_S = 60.0


class S3:
    """In a process that can be stopped. told: what a server needs in its environment to share that store"""

    def __init__(self, base: Path) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}/midrun"
        self.told = KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "PYTHONPATH": PACKAGES}
        self.told |= {"MIDRUN_STORE": STORE}
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        with (base / "moto.log").open("wb") as log:
            environ = os.environ | {"PYTHONPATH": PACKAGES}
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environ)
        try:
            self._make_the_bucket()
        except RuntimeError:
            self.end()
            raise

    def _make_the_bucket(self) -> None:
        request = urllib.request.Request(self._url, method="PUT")
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(request, timeout=10).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("moto's server does not answer")

    def read(self, name: str) -> str:
        """An object of the store; empty where there is none."""
        request = urllib.request.Request(f"{self._url}/store/{name}", headers={"Authorization": SIGNED})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
            return ""

    def cut(self) -> None:
        """It answers nobody, as if the network were gone: connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def answer(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
