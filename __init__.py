"""ComfyUI-Midrun: an interactive debugger for diffusion sampling. Import time: wires the rooms together.

No imports of ComfyUI or of the pack at module level: pytest imports this file by its path alone.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

WEB_DIRECTORY = "./web"
log = logging.getLogger(__name__)


async def comfy_entrypoint() -> Any:
    """The extension, for ComfyUI's loader."""
    from comfy_api.latest import ComfyExtension

    from .nodes.attach import MidrunAttach
    from .nodes.ksampler import MidrunKSampler

    class MidrunExtension(ComfyExtension):
        async def get_node_list(self) -> list[type]:
            return [MidrunKSampler, MidrunAttach]

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

    from .nodes import hooks
    from .nodes.interrupt import ProcessingFlag
    from .nodes.queue import SECRET_KEYS, ComfyQueue
    from .server_routes import Ears, Routes, unavailable
    from .state.control import Control
    from .state.job import Job
    from .state.recording import MemoryRecordings
    from .state.registry import Registry
    from .state.store import Store

    server: Any = getattr(PromptServer, "instance", None)
    if server is None:  # imported without a server: nothing to debug
        return
    try:
        store = Store(user_directory() / "midrun.db")
    except (OSError, sqlite3.Error):
        _route(server, unavailable())
        raise
    recordings = MemoryRecordings()
    registry = Registry(store, recordings, ProcessingFlag())
    queue = ComfyQueue(server)
    control = Control(registry, queue)
    ears = Ears(control, ("MidrunKSampler", "MidrunAttach"), SECRET_KEYS)

    def find_job(prompt_id: str) -> Job | None:
        job = registry.get(prompt_id)
        if job is None:
            job = control.adopt(prompt_id)
            server.loop.call_soon_threadsafe(control.follow)
        return job

    registry.listen(
        lambda job, view, _: server.send_sync("midrun.job", view.to_json(), job.request.client_id)
    )
    _route(server, Routes(control, server.user_manager.settings.get_settings).table())
    server.add_on_prompt_handler(ears.on_prompt)
    server.app.on_response_prepare.append(ears.on_response)
    hooks.runtime = hooks.Runtime(find_job, recordings, queue)


def _route(server: Any, table: list[Any]) -> None:
    for route in table:
        server.routes.route(route.method, route.path)(route.handler)
