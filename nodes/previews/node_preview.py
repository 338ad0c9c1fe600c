"""Tells of a new picture: as Midrun's event, and by ComfyUI's own message, which shows it inside the sampling
node and in the list of jobs. The preview thread."""

from __future__ import annotations

import time
from typing import Any

from comfy_api import feature_flags
from comfy_execution.progress import get_progress_state
from PIL import Image
from protocol import BinaryEventTypes

from ...state.job.job import Job
from ...state.pictures.previews import LABEL, Preview
from ...state.states import State
from ..comfyui.audience import audience
from .pictures import Picture, enlarged

SIZE = 512  # pixels of the longer side of what is enlarged; the event loop encodes it
PASSING_SIZE = (
    256  # of one that the next takes the place of: a quarter of the work, and the browser enlarges it
)
APART_S = 0.25  # between two pictures of a running job: nobody sees more, and each costs the event loop time
BACKLOG = 50  # messages that wait for a client that does not read; no picture is added to them


class Announcer:
    """Tells of each picture. `server`: ComfyUI's PromptServer."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._sent: tuple[str, float] = "", 0.0  # the job whose picture went out last, and when

    def __call__(self, job: Job, preview: Preview, picture: Picture) -> None:
        told = preview.to_json(job.job_id)
        self._server.send_sync("midrun.preview", told, audience(self._server, job.request))
        now = time.monotonic()
        just_sent = self._sent[0] == job.job_id and now - self._sent[1] < APART_S
        if (just_sent and job.state is State.RUNNING) or self._server.messages.qsize() > BACKLOG:
            return
        self._sent = job.job_id, now
        self._show(job, preview, picture.still)

    def _show(self, job: Job, preview: Preview, image: Image.Image) -> None:
        """To whom it is told, of those that can show it."""
        size = PASSING_SIZE if job.state is State.RUNNING else SIZE
        message = ("JPEG", enlarged(image, max(size, *image.size)), None)  # None: as large as it is
        client_id, clients = audience(self._server, job.request), self._server.sockets_metadata
        for sid in list(clients) if client_id is None else [client_id]:
            if feature_flags.supports_feature(clients, sid, "supports_preview_metadata"):
                told = _of_node(job.prompt_id, preview) | {"label": LABEL, "step": preview.step}
                self._server.send_sync(BinaryEventTypes.PREVIEW_IMAGE_WITH_METADATA, (message, told), sid)


def _of_node(prompt_id: str, preview: Preview) -> dict[str, Any]:
    """As ComfyUI's own progress handler names a node, inside a subgraph as well."""
    progress = get_progress_state()
    node_id, display_id = preview.node_id, preview.display_node_id
    told = {"node_id": node_id, "display_node_id": display_id, "prompt_id": prompt_id}
    if progress.prompt_id != prompt_id:  # it is not executing any more
        return told | {"parent_node_id": None, "real_node_id": display_id}
    graph = progress.dynprompt
    told |= {"parent_node_id": graph.get_parent_node_id(node_id)}
    return told | {"real_node_id": graph.get_real_node_id(node_id)}
