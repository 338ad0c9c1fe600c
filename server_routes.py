"""The whole REST API at a glance: method, path, handler. On ComfyUI's event loop.

The handlers are in `routes/`, a file a subject; openapi.yaml describes what each takes and answers.
"""

from __future__ import annotations

from aiohttp import web

from .routes.errors import Handler, guarded
from .routes.handlers import Handlers
from .state.errors import Unavailable

JOB = "/midrun/jobs/{id}"
Route = tuple[str, str, Handler]


def table(to: Handlers) -> list[web.RouteDef]:
    routes = (*_of_all(to), *_of_a_job(to))
    return [web.route(method, path, guarded(handler)) for method, path, handler in routes]


def _of_all(to: Handlers) -> tuple[Route, ...]:
    return (
        ("GET", "/midrun/jobs", to.jobs.list),
        ("POST", "/midrun/jobs/import", to.bundles.take_in),
        ("POST", "/midrun/jobs/pause", to.several.pause),
        ("POST", "/midrun/jobs/resume", to.several.resume),
        ("POST", "/midrun/jobs/abort", to.several.abort),
        ("POST", "/midrun/jobs/delete", to.several.delete),
        ("GET", "/midrun/failures", to.jobs.failures),
        ("POST", "/midrun/drafts", to.drafts.make),
        ("POST", "/midrun/drafts/go_on", to.drafts.go_on),
        ("GET", "/midrun/queue", to.several.queue),
        ("GET", "/midrun/usage", to.jobs.usage),
        ("GET", "/midrun/ledger", to.ledger.read),
        ("GET", "/midrun/store", to.sharing.list),
        ("POST", "/midrun/store/{key}/take", to.sharing.take),
        ("POST", "/midrun/drain", to.sharing.drain),
    )


def _of_a_job(to: Handlers) -> tuple[Route, ...]:
    return (
        ("GET", JOB, to.jobs.get),
        ("DELETE", JOB, to.jobs.delete),
        ("POST", f"{JOB}/pause", to.jobs.pause),
        ("POST", f"{JOB}/resume", to.jobs.resume),
        ("POST", f"{JOB}/abort", to.jobs.abort),
        ("POST", f"{JOB}/choose", to.choices.choose),
        ("GET", f"{JOB}/choice/{{number}}", to.choices.picture),
        ("GET", f"{JOB}/wires/{{number}}", to.wires.picture),
        ("GET", f"{JOB}/events", to.jobs.events),
        ("GET", f"{JOB}/params", to.edits.read),
        ("PUT", f"{JOB}/params", to.edits.edit),
        ("DELETE", f"{JOB}/params", to.edits.undo_all),
        ("DELETE", f"{JOB}/params/{{node_id}}/{{input}}", to.edits.undo),
        ("POST", f"{JOB}/step", to.travel.step),
        ("POST", f"{JOB}/rewind", to.travel.rewind),
        ("DELETE", f"{JOB}/rewind", to.travel.restore),
        ("POST", f"{JOB}/fork", to.travel.fork),
        ("POST", f"{JOB}/more", to.travel.more),
        ("GET", f"{JOB}/latent", to.pictures.latent),
        ("GET", f"{JOB}/preview", to.pictures.preview),
        ("GET", f"{JOB}/previews", to.pictures.previews),
        ("GET", f"{JOB}/breakpoints", to.breakpoints.read),
        ("PUT", f"{JOB}/breakpoints", to.breakpoints.replace),
        ("DELETE", f"{JOB}/breakpoints", to.breakpoints.clear),
        ("GET", f"{JOB}/compare", to.compare.compare),
        ("GET", f"{JOB}/compare/steps", to.compare.steps),
        ("GET", f"{JOB}/sheet", to.compare.sheet),
        ("GET", f"{JOB}/report", to.report.read),
        ("GET", f"{JOB}/bundle", to.bundles.export),
        ("POST", f"{JOB}/check", to.checks.begin),
        ("GET", f"{JOB}/check", to.checks.read),
        ("DELETE", f"{JOB}/check", to.checks.cancel),
        ("POST", f"{JOB}/lens", to.lens.begin),
        ("GET", f"{JOB}/lens", to.lens.read),
        ("DELETE", f"{JOB}/lens", to.lens.cancel),
        ("GET", f"{JOB}/lens/picture", to.lens.picture),
        ("GET", f"{JOB}/telemetry", to.telemetry.read),
    )


def unavailable() -> list[web.RouteDef]:
    """What answers when Midrun could not start."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise Unavailable("Midrun could not open its directory when ComfyUI started. ComfyUI's log says why.")

    return [web.route("*", "/midrun/{path:.*}", guarded(refuse))]
