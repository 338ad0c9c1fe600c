"""ComfyUI-Midrun: an interactive debugger for diffusion sampling. Import time: wires the rooms together.

No imports of ComfyUI or of the pack at module level: pytest imports this file by its path alone.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .state.breakpoints.breakpoints import Breakpoints
    from .state.job.job import Job
    from .state.job.view import Change, JobView
    from .state.recording.disk import DiskRecordings
    from .state.server_directory import Home
    from .state.services.preview_files import PreviewFiles
    from .state.services.registry import Registry
    from .state.services.retention import Limits
    from .state.store.store import Store

WEB_DIRECTORY = "./web"
ANSWER_S = 10.0  # the event loop begins to answer a while after the pack was loaded
log = logging.getLogger(__name__)


async def comfy_entrypoint() -> Any:
    """The extension, for ComfyUI's loader."""
    from comfy_api.v0_0_2 import ComfyExtension

    from .nodes.attach import MidrunAttach
    from .nodes.breakpoint import MidrunBreakpoint
    from .nodes.comfyui.demo_loading import register_folders
    from .nodes.demo_model import MidrunDemoModel
    from .nodes.kept import MidrunKept
    from .nodes.ksampler import MidrunKSampler
    from .nodes.once import MidrunOnce, loops_exist

    register_folders()
    more = [MidrunOnce] if loops_exist() else []

    class MidrunExtension(ComfyExtension):
        async def get_node_list(self) -> list[type]:
            return [MidrunKSampler, MidrunAttach, MidrunBreakpoint, MidrunKept, MidrunDemoModel, *more]

    # Not in on_load, which ComfyUI 0.3.75 never calls.
    try:
        _start()
    except Exception:  # sampling has to work without Midrun, and ComfyUI would not log this
        log.exception("Midrun could not start: workflows run, but nothing is watched")
    return MidrunExtension()


def user_directory() -> Path:
    """`<ComfyUI user directory>/__midrun`: ComfyUI does not serve directories with such names."""
    import folder_paths

    system_directory = getattr(folder_paths, "get_system_user_directory", None)
    if system_directory is not None:
        return Path(system_directory("midrun"))
    return Path(folder_paths.get_user_directory()) / "__midrun"


def _start() -> None:
    from server import PromptServer

    from .server_routes import unavailable
    from .state.server_directory import Home
    from .state.store.store import Store

    server: Any = getattr(PromptServer, "instance", None)
    if server is None:  # imported without a server: nothing to debug
        return
    try:
        home = Home(user_directory())
        store = Store(home.database)
    except (OSError, sqlite3.Error):
        _route(server, unavailable())
        raise
    _wire(server, home, store)


def _wire(server: Any, home: Home, store: Store) -> None:
    from .nodes.comfyui.gpu_temperature import Thermometer
    from .nodes.comfyui.interrupt_flag import ProcessingFlag
    from .nodes.comfyui.node_definitions import Definitions
    from .nodes.comfyui.queue import SECRET_KEYS, ComfyQueue
    from .nodes.engine import hooks
    from .nodes.engine.brownian import Draws
    from .nodes.engine.hold import Holding
    from .nodes.previews.full_quality import FullQuality
    from .nodes.previews.node_preview import Announcer
    from .nodes.previews.partial_results import Results
    from .nodes.previews.picture_requests import Gallery
    from .nodes.previews.previews import Previews
    from .routes.breakpoints import BreakpointRoutes
    from .routes.compare import CompareRoutes
    from .routes.prompt_listener import Ears
    from .routes.telemetry import TelemetryRoutes
    from .routes.time_travel import TravelRoutes
    from .server_routes import KEEP_HISTORY, Routes
    from .state.errors import UnknownJob
    from .state.job.warnings import NOT_ON_DISK
    from .state.recording.disk import DiskRecordings
    from .state.services.comparison import Comparing
    from .state.services.control import Control
    from .state.services.editing import Editing
    from .state.services.ending import LONGEST_S, before_the_end
    from .state.services.guard import Guard
    from .state.services.preview_files import PreviewFiles
    from .state.services.recovery import recover
    from .state.services.registry import Registry
    from .state.services.retention import usage
    from .state.services.time_travel import TimeTravel
    from .state.worker import Worker
    from .state.workflow.instrument import Instruments

    recordings = DiskRecordings(home.path, lambda *told: registry.trouble(NOT_ON_DISK, *told))
    files = PreviewFiles(home.path, store)
    recover(store, recordings, files, home.crashed)
    registry = Registry(store, recordings, ProcessingFlag(), usual_breakpoints)
    queue = ComfyQueue(server)
    definitions = Definitions()
    control = Control(registry, queue, Instruments(definitions, watches_everything))
    results = Results(recordings)
    recordings.dropped = files.drop
    previews, full = Previews(files, Announcer(server)), FullQuality(recordings)
    gallery = Gallery(previews, recordings, full, _settings)
    editing = Editing(control, definitions)
    settings = server.user_manager.settings.get_settings
    routes = Routes(control, editing, results, gallery, settings, partial(usage, home.path))
    time_travel = TimeTravel(control, editing, files)
    travel = TravelRoutes(control, time_travel, routes.keeps_history)
    comparing = CompareRoutes(registry, Comparing(registry, time_travel, definitions, files), gallery)
    ears = Ears(control, ("MidrunKSampler", "MidrunAttach", "MidrunBreakpoint"), SECRET_KEYS)

    def find_job(prompt_id: str) -> Job | None:
        job = registry.get(prompt_id)
        if job is None:
            job = control.adopt(prompt_id)
            server.loop.call_soon_threadsafe(control.follow)
        return job

    async def close(_: object) -> None:
        await asyncio.to_thread(previews.thread.close)
        await asyncio.to_thread(journal.flush, LONGEST_S)
        await asyncio.to_thread(recordings.writer.close)
        await asyncio.to_thread(store.close)
        home.close()  # another server may use it from now on

    def tell(job: Job, view: JobView) -> None:
        server.send_sync("midrun.job", view.to_json(), job.request.client_id)

    # Made into JSON on the event loop, not on the sampling thread.
    registry.listen(lambda job, view, _: server.loop.call_soon_threadsafe(tell, job, view))
    registry.listen(results.on_change)
    keeps_history = lambda: _settings().get(KEEP_HISTORY) is True  # noqa: E731
    registry.listen(Guard(control, server.loop, Thermometer(), keeps_history).on_change)

    def keep(job_id: str) -> bool:
        """On the retention's thread; a server that is ending does not answer."""
        try:
            found = asyncio.run_coroutine_threadsafe(registry.load(job_id), server.loop)
            results.keep(found.result(ANSWER_S))
        except (FutureTimeout, UnknownJob):
            return False
        return True

    journal = Worker("midrun-journal")

    def write() -> None:
        journal.flush(LONGEST_S)
        recordings.save()
        registry.save()
        files.save_all()
        recordings.flush(LONGEST_S)

    before_the_end(write, home.close)
    atexit.register(home.close)  # by then the threads that write have ended
    _sweep_now_and_then(recordings, store, registry, files, keep)
    more = travel, BreakpointRoutes(registry), TelemetryRoutes(registry), comparing
    _route(server, [*routes.table(), *(route for one in more for route in one.table())])
    server.add_on_prompt_handler(ears.on_prompt)
    server.app.on_response_prepare.append(ears.on_response)
    server.app.on_cleanup.append(close)
    holding = Holding(full, recordings, queue.somebody_waits)
    hooks.runtime = hooks.Runtime(
        find_job, recordings, queue, previews, holding, Draws(), _settings, registry.keep, journal
    )


def _sweep_now_and_then(
    recordings: DiskRecordings,
    store: Store,
    registry: Registry,
    files: PreviewFiles,
    keep: Callable[[str], bool],
) -> None:
    """Old recordings go at the start and whenever a job ends, but not more than once a minute."""
    from .state.job.transitions import ENDED
    from .state.services.retention import SWEEP_EVERY_S, Retention
    from .state.states import State

    def busy(job_id: str) -> bool:
        job = registry.get(job_id)
        return job is not None and (job.run_active or job.state not in (*ENDED, State.FAILED))

    def sweep() -> None:
        try:
            retention.sweep()
        except (OSError, sqlite3.Error):
            log.exception("Midrun could not look for old recordings")

    retention = Retention(recordings, store, retention_limits, busy, files, keep)
    thread = ThreadPoolExecutor(1, "midrun-retention")
    swept = [time.monotonic()]

    def on_change(job: Job, view: JobView, change: Change | None) -> None:
        if change is not None and view.state in ENDED and time.monotonic() - swept[0] >= SWEEP_EVERY_S:
            swept[0] = time.monotonic()
            thread.submit(sweep)

    registry.listen(on_change)
    thread.submit(sweep)


def retention_limits() -> Limits:
    from .state.services.retention import limits_from

    return limits_from(_settings())


def usual_breakpoints() -> Breakpoints:
    """Of every new job: a NaN pauses it, unless the user does not want that, and what *Pause when* says."""
    from .state.breakpoints.breakpoints import DEFAULT, of_setting

    settings = _settings()
    usual = () if settings.get("Midrun.PauseOnNaN") is False else DEFAULT
    return (*usual, *of_setting(settings.get("Midrun.PauseWhen")))


def watches_everything() -> bool:
    """Whether every sampler of every prompt is to be watched."""
    return _settings().get("Midrun.WatchEverything") is True


def _settings() -> dict[str, Any]:
    """ComfyUI's settings; of the first user, where there are several."""
    import folder_paths

    file = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _route(server: Any, table: list[Any]) -> None:
    for route in table:
        server.routes.route(route.method, route.path)(route.handler)
