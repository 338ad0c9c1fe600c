"""Jobs as files: export and import. Both stream, so that no bundle is in memory. ComfyUI's event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..state.asker import HEADER
from ..state.errors import BadRequest, Unavailable
from ..state.job.view import JobView
from ..state.services.exporting import Exporting
from ..state.services.importing import Importing
from . import parsing

PIECE = 1024**2  # bytes that are written at once


class BundleRoutes:
    def __init__(self, exporting: Exporting, importing: Importing) -> None:
        self._exporting = exporting
        self._importing = importing

    async def export(self, request: web.Request) -> web.StreamResponse:
        parsing.only(request.query, set())
        try:
            export = await self._exporting.export(parsing.job_id(request))
        except OSError as error:
            raise Unavailable(f"The job cannot be exported: its files cannot be read ({error}).") from error
        disposition = f'attachment; filename="{export.name}"'
        headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        response.content_type = "application/zip"
        try:
            await response.prepare(request)
            while piece := await asyncio.to_thread(next, export.pieces, b""):
                await response.write(piece)
            await response.write_eof()
        finally:
            await asyncio.shield(asyncio.to_thread(export.close))
        return response

    async def take_in(self, request: web.Request) -> web.Response:
        """The body is the bundle itself."""
        parsing.only(request.query, set())
        try:
            return web.json_response((await self._taken_in(request)).to_json(), status=201)
        except OSError as error:
            raise Unavailable(f"Nothing was imported: the disk does not take it ({error}).") from error

    async def _taken_in(self, request: web.Request) -> JobView:
        incoming = await asyncio.to_thread(self._importing.begin)
        try:
            incoming.check(request.content_length or 0)
            gathered = bytearray()
            async for chunk in request.content.iter_any():
                gathered += chunk
                if len(gathered) >= PIECE:
                    await asyncio.to_thread(incoming.write, bytes(gathered))
                    gathered.clear()
            await asyncio.to_thread(incoming.write, bytes(gathered))
            await asyncio.to_thread(incoming.ended)
            if not incoming.size:
                raise BadRequest("The body must be a bundle: a file that GET /midrun/jobs/{id}/bundle gave.")
            client_id = parsing.storable(request.headers.get(HEADER))
            return await self._importing.take_in(incoming, client_id)
        finally:
            await asyncio.shield(asyncio.to_thread(incoming.close))
