"""The shared store as people and scripts meet it: jobs of other servers, and taking one over.

On ComfyUI's event loop; what waits for the network is on threads.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

from ..errors import IllegalTransition, Unavailable
from ..job.job import Job
from ..job.view import JobView
from ..server_directory import directory_name
from ..services.importing import Importing, Incoming
from ..services.registry import Registry
from .claims import Claim, NotInStore, Taken
from .draining import Draining
from .fetching import OpenJobs, bundled, keep, newest_manifest
from .manifest import Manifest
from .mirror import Mirror
from .remote import Remote, Unreachable
from .sending import clear

KEY = re.compile(r"[0-9]{1,20}|[0-9a-z_-]{8,64}|=[0-9a-f]{40}")  # as directory_name makes them


class Shared:
    """url: None where there is no store."""

    def __init__(
        self,
        url: str | None,
        mirror: Mirror | None,
        registry: Registry,
        importing: Importing,
        draining: Draining,
    ) -> None:
        self._url = url
        self._mirror = mirror
        self._registry = registry
        self._importing = importing
        self._draining = draining
        self._open = OpenJobs()

    async def listed(self) -> dict[str, Any]:
        """Jobs of all servers that are not over, but for those that this one has."""
        if self._mirror is None:
            return {"store": None, "trouble": None, "jobs": []}
        mirror = self._mirror
        try:
            found = await asyncio.to_thread(lambda: self._open.listed(mirror.remote(), mirror.claims))
        except Unreachable as error:
            return {"store": self._url, "trouble": f"The shared store does not answer: {error}.", "jobs": []}
        others = [one for one in found if self._is_of_another(one["job_id"])]
        trouble = mirror.trouble and f"The shared store does not answer: {mirror.trouble}."
        return {"store": self._url, "trouble": trouble, "jobs": others}

    async def take(self, key: str) -> JobView:
        """That job is this server's from now on. Raises Taken, NotInStore, BadBundle or Unavailable."""
        mirror = self._mirror
        if not KEY.fullmatch(key):
            raise NotInStore("There is no such job in the store.")
        if mirror is None:
            raise Taken("This server has no shared store. Set one in ComfyUI's settings, under Midrun.")
        try:
            remote = await asyncio.to_thread(mirror.remote)
            job, claim = await self._taken(mirror, remote, key)
        except Unreachable as error:
            raise Unavailable(f"The shared store does not answer: {error}.") from error
        job.note("taken_from_store", {"claim": claim.number})
        return job.view()

    async def may_run(self, job: Job) -> None:
        """Raises IllegalTransition where another server has the job by now."""
        if self._mirror is not None and self._draining.done:
            because = "this server was drained, as it is about to end. Resume the job on another one."
            raise IllegalTransition("resume", job.job_id, job.state, because)
        if self._mirror is None:
            return
        try:
            owns = await asyncio.to_thread(self._mirror.owns, job)
        except Unreachable:
            owns = not self._mirror.is_lost(job.job_id)  # the local disk is the truth
        if not owns:
            because = "another server took it over from the shared store. Fork it to go on here as well."
            raise IllegalTransition("resume", job.job_id, job.state, because)

    # -- inside ----------------------------------------------------------------------------------------

    def _is_of_another(self, job_id: str) -> bool:
        lost = self._mirror is not None and self._mirror.is_lost(job_id)
        return lost or job_id not in self._registry.taken

    async def _taken(self, mirror: Mirror, remote: Remote, key: str) -> tuple[Job, Claim]:
        with mirror.taking():
            claim, manifest = await asyncio.to_thread(self._claimed, mirror, remote, key)
            try:
                view = await self._taken_in(remote, key, manifest)
            except BaseException:
                await asyncio.to_thread(mirror.claims.give_up, remote, key, claim)
                raise
            job = await self._registry.load(view.job_id)
            if directory_name(view.job_id) == key:
                mirror.adopt(job, key, claim)
            else:  # that id is taken here, so it is sent as another job from now on
                await asyncio.to_thread(clear, remote, key, claim, manifest)
        return job, claim

    def _claimed(self, mirror: Mirror, remote: Remote, key: str) -> tuple[Claim, Manifest]:
        mirror.claims.beat(remote)  # before anybody can ask whether this server lives
        claim, before = mirror.claims.take(remote, key)
        manifest = newest_manifest(remote, key, before.number)
        if manifest is None or manifest.ended:
            mirror.claims.give_up(remote, key, claim)
            raise NotInStore("That job is over, or its server told nothing of it yet.")
        keep(remote, key, claim, manifest)
        return claim, manifest

    async def _taken_in(self, remote: Remote, key: str, manifest: Manifest) -> JobView:
        incoming = await asyncio.to_thread(self._importing.begin)
        try:
            await asyncio.to_thread(received, incoming, remote, key, manifest, self._importing)
            return await self._importing.take_in(incoming)
        finally:
            await asyncio.to_thread(incoming.close)


def received(
    incoming: Incoming,
    remote: Remote,
    key: str,
    manifest: Manifest,
    importing: Importing,
    only: tuple[str, ...] = ("data/",),
) -> None:
    """The bundle of a job, of the files whose names begin so."""
    job = manifest.job if only == ("data/",) else manifest.job | {"inputs": []}
    pieces = bundled(
        remote, key, replace(manifest, job=job), importing.limits(), lambda name: name.startswith(only)
    )
    for piece in pieces:
        incoming.write(piece)
    incoming.ended()
