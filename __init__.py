"""ComfyUI-Midrun: an interactive debugger for diffusion sampling. Import time: wires the rooms together.

No imports of ComfyUI or of the pack at module level: pytest imports this file by its path alone.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import sqlite3
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .state.job.job import Job
    from .state.job.view import JobView
    from .state.server_directory import ServerDirectory
    from .state.store.store import Store

WEB_DIRECTORY = "./web"
NODES_THAT_ARE_WATCHED = ("MidrunKSampler", "MidrunAttach", "MidrunBreakpoint", "MidrunChoose")
ANSWER_S = 10.0  # the event loop begins to answer a while after the pack was loaded
log = logging.getLogger(__name__)


async def comfy_entrypoint() -> Any:
    """The extension, for ComfyUI's loader."""
    from comfy_api.v0_0_2 import ComfyExtension

    from .nodes.attach import MidrunAttach
    from .nodes.breakpoint import MidrunBreakpoint
    from .nodes.choose import MidrunChoose
    from .nodes.comfyui.demo_loading import register_folders
    from .nodes.demo_model import MidrunDemoModel
    from .nodes.kept import MidrunKept
    from .nodes.ksampler import MidrunKSampler
    from .nodes.once import MidrunOnce, loops_exist

    register_folders()
    more = [MidrunOnce] if loops_exist() else []

    class MidrunExtension(ComfyExtension):
        async def get_node_list(self) -> list[type]:
            nodes = [MidrunKSampler, MidrunAttach, MidrunBreakpoint, MidrunChoose, MidrunKept]
            return [*nodes, MidrunDemoModel, *more]

    # Not in on_load, which ComfyUI 0.3.75 never calls.
    try:
        _start()
    except Exception:  # sampling has to work without Midrun, and ComfyUI would not log this
        log.exception("Midrun could not start: workflows run, but nothing is watched")
    return MidrunExtension()


def _start() -> None:
    from server import PromptServer

    from .nodes.comfyui.directories import own_directory
    from .server_routes import unavailable
    from .state.server_directory import ServerDirectory
    from .state.store.store import Store

    server: Any = getattr(PromptServer, "instance", None)
    if server is None:  # imported without a server: nothing to debug
        return
    try:
        home = ServerDirectory(own_directory())
        store = Store(home.database)
    except (OSError, sqlite3.Error):
        _route(server, unavailable())
        raise
    midrun = _Midrun(server, home, store)
    midrun.sample()
    midrun.tell()
    midrun.end_in_order()
    midrun.sweep_now_and_then()
    midrun.answer()


class _Midrun:
    """All of it. Each part builds what is its own; here they are told of each other."""

    def __init__(self, server: Any, home: ServerDirectory, store: Store) -> None:
        from .nodes.comfyui.directories import comfyui_user_directory
        from .nodes.comfyui.interrupt_flag import ProcessingFlag
        from .nodes.comfyui.node_definitions import Definitions
        from .nodes.comfyui.queue import ComfyQueue
        from .nodes.comfyui.surroundings import ComfySurroundings
        from .nodes.previews.partial_results import Results
        from .state.bundles.file_hashes import FileHashes
        from .state.recording.disk import DiskRecordings
        from .state.services.checking import Checks
        from .state.services.control import Control
        from .state.services.gate import Gate
        from .state.services.preview_files import PreviewFiles
        from .state.services.recovery import recover
        from .state.services.registry import Registry
        from .state.services.settings import Settings
        from .state.services.trouble import Trouble
        from .state.workflow.instrument import Instruments

        self.server, self.home, self.store = server, home, store
        self.settings, self.files = Settings(comfyui_user_directory()), PreviewFiles(home.path, store)
        self.recordings = DiskRecordings(home.path, lambda *told: self.trouble.on_disk(*told))
        self.recordings.dropped = self.files.drop
        recover(store, self.recordings, self.files, home.crashed)
        self.registry = Registry(store, self.recordings, ProcessingFlag(), self.settings.usual_breakpoints)
        self.trouble = Trouble(self.registry)
        self.queue, self.definitions = ComfyQueue(server), Definitions()
        instruments = Instruments(self.definitions, self.settings.watches_everything)
        self.control = Control(self.registry, self.queue, instruments)
        self.gate = Gate(self.queue.waiting, self._soon, self._tell_of_queue)
        self.results = Results(self.recordings)
        self.around = ComfySurroundings(self.definitions, FileHashes(home.path / "model-hashes.json"))
        self.checks = Checks(self.control, self.around)
        self.bundles = self._bundles()
        self.sharing = self._sharing()

    def sample(self) -> None:
        """What sampling calls meet."""
        from .nodes.engine import runtime
        from .nodes.engine.brownian import Draws
        from .nodes.engine.hold import Holding
        from .nodes.foreign.watching import on_change
        from .nodes.previews.choice_pictures import ChoicePictures
        from .nodes.previews.full_quality import FullQuality
        from .nodes.previews.node_preview import Announcer
        from .nodes.previews.previews import Previews
        from .nodes.previews.value_pictures import ValuePictures
        from .nodes.previews.wire_values import WireValues
        from .state.services.numbered_pictures import CHOICE, WIRES, NumberedPictures
        from .state.worker import Worker

        self.previews, self.full = Previews(self.files, Announcer(self.server)), FullQuality(self.recordings)
        self.journal = Worker("midrun-journal")
        known = self._find_job, self.recordings, self.queue, self.previews
        holding = Holding(self.full, self.recordings, self.gate.makes_way)
        values = ValuePictures(self.previews, self.recordings)
        choices = ChoicePictures(values, NumberedPictures(self.files, CHOICE))
        wires = WireValues(values, NumberedPictures(self.files, WIRES))
        beside = self.journal, self.around.of_run, self.checks.beside.find
        told = self.settings.read, self.registry.keep, *beside
        runtime.current = runtime.Runtime(*known, holding, choices, wires, Draws(), *told)
        self.registry.listen(on_change)

    def tell(self) -> None:
        """Who hears of what becomes of jobs."""
        from .nodes.comfyui.audience import audience
        from .nodes.comfyui.gpu_temperature import Thermometer
        from .state.services.guard import Guard

        def send(job: Job, view: JobView) -> None:
            self.server.send_sync("midrun.job", view.to_json(), audience(self.server, job.request))

        # Made into JSON on the event loop, not on the sampling thread.
        self.registry.listen(lambda job, view, _: self._loop.call_soon_threadsafe(send, job, view))
        self.registry.listen(self.results.on_change)
        guard = Guard(self.control, self._loop, Thermometer(), self.settings.keeps_history)
        guard.stands_still = lambda: self.gate.closed
        self.registry.listen(guard.on_change)
        self.registry.listen(self.gate.on_change)

    def answer(self) -> None:
        """The REST API, and what is noticed of ComfyUI's own."""
        from .nodes.comfyui.queue import SECRET_KEYS
        from .nodes.previews.picture_requests import Gallery
        from .routes.asking import Asking
        from .routes.handlers import Handlers, Needs
        from .routes.prompt_listener import PromptListener
        from .routes.webhooks import Webhooks
        from .server_routes import table
        from .state.services.incoming import Incoming

        incoming = Incoming(self.control.instruments, NODES_THAT_ARE_WATCHED, SECRET_KEYS)
        gallery = Gallery(self.previews, self.recordings, self.full, self.settings.read)
        self.registry.listen(Webhooks(self.settings.webhook, gallery, self._soon).on_change)
        self.registry.listen(Asking(self.control, self.gate, self.settings, gallery, self._soon).on_change)
        shown = self.definitions, self.files, self.results, gallery
        needs = Needs(
            self.control,
            self.gate,
            incoming,
            *shown,
            self.checks,
            self.bundles,
            (self.sharing.shared, self.sharing.draining),
            partial(self.settings.keeps_history_of, self.server.user_manager),
            self.home.path,
        )
        handlers = Handlers(needs)
        _route(self.server, table(handlers))
        self.registry.listen(handlers.choosing.listener(self._loop, self.settings.keeps_history))
        self._later(handlers.choosing.look_after())
        listener = PromptListener(self.control, incoming)
        self.server.add_on_prompt_handler(listener.on_prompt)
        self.server.app.on_response_prepare.append(listener.on_response)

    def _bundles(self) -> tuple[Any, Any]:
        from .nodes.comfyui import input_files
        from .state.services.differing import Differing
        from .state.services.exporting import Exporting
        from .state.services.importing import Importing

        differing = Differing(self.around)
        self.registry.look_around = differing.look
        parts = self.registry, self.recordings, self.files
        return (
            Exporting(*parts, self.around, self.home.path / "exports"),
            Importing(*parts, differing, input_files, self.home.path / "imports", self.settings.of_bundles),
        )

    def _sharing(self) -> Any:
        from .state.sharing.room import Sharing

        parts = self.control, self.recordings, self.bundles, self.around, self.settings, self.home.path
        return Sharing(*parts, self._later, self._write)

    def _write(self, within_s: float) -> None:
        """What is in memory."""
        from .state.services.ending import JOURNAL_S

        self.journal.flush(min(JOURNAL_S, within_s))
        self.recordings.save()
        self.registry.save()
        self.files.save_all()
        self.recordings.flush(within_s)

    def end_in_order(self) -> None:
        """Whatever ends the server, what is in memory is written before it goes."""
        from .state.services.ending import JOURNAL_S, LONGEST_S, before_the_end

        async def close(_: object) -> None:
            await asyncio.to_thread(self.previews.thread.close)
            await asyncio.to_thread(self.journal.flush, JOURNAL_S)
            await asyncio.to_thread(self.sharing.close)
            await asyncio.to_thread(self.recordings.writer.close)
            await asyncio.to_thread(self.store.close)
            self.home.close()  # another server may use it from now on

        def write() -> None:
            if self.sharing.drain_s:
                self.sharing.draining.drain(self.sharing.drain_s)
            self._write(LONGEST_S)

        before_the_end(write, self.home.close, lambda: max(LONGEST_S, self.sharing.drain_s))
        atexit.register(self.home.close)  # by then the threads that write have ended
        self.server.app.on_cleanup.append(close)

    def sweep_now_and_then(self) -> None:
        from .state.services.retention import Sweeper, limits_from

        limits = lambda: limits_from(self.settings.read())  # noqa: E731
        sweeper = Sweeper(self.recordings, self.registry, self.files, limits, self._keep)
        self.registry.listen(sweeper.on_change)
        sweeper.sweep_soon()

    @property
    def _loop(self) -> Any:
        return self.server.loop

    def _soon(self, work: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(work)

    def _tell_of_queue(self, is_paused: bool) -> None:
        self.server.send_sync("midrun.queue", {"paused": is_paused})

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def _find_job(self, prompt_id: str) -> Job | None:
        if self.checks.beside.find(prompt_id) is not None:
            return None  # it has nothing to do with the state of its job
        job = self.registry.get(prompt_id)
        if job is None:
            job = self.control.adopt(prompt_id)
            self._loop.call_soon_threadsafe(self.control.follow)
        if job is not None:
            self.store.database.await_written(prompt_id)
            self.sharing.retries.take_up(job)
        return job

    def _keep(self, job_id: str) -> bool:
        """Keep what is left of a job before its recording goes. A server that is ending does not answer."""
        from .state.errors import UnknownJob

        try:
            found = asyncio.run_coroutine_threadsafe(self.registry.load(job_id), self._loop)
            self.results.keep(found.result(ANSWER_S))
        except (FutureTimeout, UnknownJob):
            return False
        return True


def _route(server: Any, table: list[Any]) -> None:
    for route in table:
        server.routes.route(route.method, route.path)(route.handler)
