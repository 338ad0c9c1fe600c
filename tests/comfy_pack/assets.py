"""A browser of the tests loads the same four hundred files a hundred times: it may keep them.

ComfyUI has them asked for again each time.
"""

from aiohttp import web
from server import PromptServer

KEPT = ("/assets/", "/extensions/", "/scripts/")


async def keep(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith(KEPT) and response.status == 200:
        response.headers["Cache-Control"] = "public, max-age=86400, immutable"


PromptServer.instance.app.on_response_prepare.append(keep)
