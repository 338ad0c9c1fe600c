"""Tells of a new picture: as Midrun's event, and by ComfyUI's own message, which shows it inside the sampling
node and in the list of jobs. The preview thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_api import feature_flags
from comfy_execution.progress import get_progress_state
from protocol import BinaryEventTypes

from ..state.job import Job
from ..state.previews import LABEL, Preview
from .pictures import Picture, enlarged

SIZE = 512  # pixels of the longer side of what is enlarged; the event loop encodes it


def send(server: Any, job: Job, preview: Preview, picture: Picture) -> None:
    """To the client that queued the job, or to all, of those that can show it."""
    image = picture.still
    message = ("JPEG", enlarged(image, max(SIZE, *image.size)), None)  # None: as large as it is
    client_id = job.request.client_id
    for sid in list(server.sockets_metadata) if client_id is None else [client_id]:
        if feature_flags.supports_feature(server.sockets_metadata, sid, "supports_preview_metadata"):
            told = _of_node(job.prompt_id, preview.node_id) | {"label": LABEL, "step": preview.step}
            server.send_sync(BinaryEventTypes.PREVIEW_IMAGE_WITH_METADATA, (message, told), sid)


def event_to(server: Any) -> Callable[[Job, Preview, Picture], None]:
    """Tells of each picture as the `midrun.preview` event, too."""

    def announce(job: Job, preview: Preview, picture: Picture) -> None:
        server.send_sync("midrun.preview", preview.to_json(job.job_id), job.request.client_id)
        send(server, job, preview, picture)

    return announce


def _of_node(prompt_id: str, node_id: str) -> dict[str, Any]:
    """As ComfyUI's own progress handler names a node, inside a subgraph as well."""
    progress = get_progress_state()
    told = {"node_id": node_id, "prompt_id": prompt_id}
    if progress.prompt_id != prompt_id:  # it is not executing any more
        return told | {"display_node_id": node_id, "parent_node_id": None, "real_node_id": node_id}
    graph = progress.dynprompt
    told |= {"display_node_id": graph.get_display_node_id(node_id)}
    told |= {"parent_node_id": graph.get_parent_node_id(node_id)}
    return told | {"real_node_id": graph.get_real_node_id(node_id)}
