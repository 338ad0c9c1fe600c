"""The REST API's routes that set jobs side by side: compare, its steps, sheet. On ComfyUI's event loop."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..state.errors import BadRequest, MidrunError, NoGrid
from ..state.job.fork_grid import Cell
from ..state.job.view import JobView
from ..state.pictures.contact_sheet import Tile, contact_sheet
from ..state.pictures.previews import Wanted
from ..state.server_directory import directory_name
from ..state.services.comparison import Comparing
from ..state.services.registry import Registry
from . import parsing
from .ports import Pictures


class CompareRoutes:
    def __init__(self, registry: Registry, comparing: Comparing, pictures: Pictures) -> None:
        self._registry = registry
        self._comparing = comparing
        self._pictures = pictures

    async def compare(self, request: web.Request) -> web.Response:
        query = request.query
        parsing.only(query, {"with", "step", "take"})
        take = query.get("take", "false" if "with" in query else "true")
        if take not in ("true", "false"):
            raise BadRequest(f"take must be true or false, not {take[:40]!r}.")
        step = parsing.integer("step", query["step"], 0, 2**31) if "step" in query else None
        told = self._comparing.compare(parsing.job_id(request), query.get("with"), step, take == "true")
        return web.json_response(await told)

    async def steps(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"with"})
        other = request.query.get("with")
        if other is None:
            raise BadRequest("Name the other job in `with`.")
        return web.json_response(await self._comparing.steps(parsing.job_id(request), other))

    async def sheet(self, request: web.Request) -> web.Response:
        parsing.only(request.query, {"step"})
        step = request.query.get("step")
        number = None if step is None else parsing.integer("step", step, 1, 2**31)
        job = await self._registry.load(parsing.job_id(request))
        cells, views = await self._grid(job.view())
        first = cells[0]
        columns = list(range(len(first.axes[0].values))) if first.axes else [0]
        rows = sorted({cell.row for cell in cells})
        found = {(cell.row, cell.column): view for cell, view in zip(cells, views, strict=True)}
        tiles = [[await self._tile(found.get((row, column)), number) for column in columns] for row in rows]
        names = [first.axes[0].label(column) if first.axes else "" for column in columns]
        labels = [_row_label(first, row, len(rows)) for row in rows]
        content = await asyncio.to_thread(contact_sheet, tiles, names, labels)
        name = f"midrun-{directory_name(job.job_id).lstrip('=')}-sheet.webp"
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'inline; filename="{name}"'}
        return web.Response(body=content, content_type="image/webp", headers=headers)

    async def _grid(self, view: JobView) -> tuple[list[Cell], list[JobView]]:
        """Of a fork or a draft the one that it is of, else the newest that was made of the job."""
        name = view.cell.grid if view.cell is not None else None
        if name is None:
            forks = await self._registry.related("parent", view.job_id)
            name = next((fork.cell.grid for fork in reversed(forks) if fork.cell is not None), None)
        if name is None:
            raise NoGrid(view.job_id)
        mine = [one for one in await self._registry.related("grid", name) if one.cell is not None]
        return [one.cell for one in mine if one.cell is not None], mine

    async def _tile(self, view: JobView | None, step: int | None) -> Tile:
        if view is None:
            return Tile(None, "deleted")
        try:
            job = await self._registry.load(view.job_id)
            shown = await self._pictures.picture(job, Wanted(view.node_id, step, still=True))
        except MidrunError:
            return Tile(None, view.state.value)
        return Tile(shown.content)


def _row_label(cell: Cell, row: tuple[int, int], rows: int) -> str:
    label = cell.axes[1].label(row[0]) if len(cell.axes) > 1 else ""
    repeated = rows > (len(cell.axes[1].values) if len(cell.axes) > 1 else 1)
    return f"{label} #{row[1] + 1}".strip() if repeated else label
