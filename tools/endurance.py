"""kill -9 and SIGTERM of the server at random moments, restart, resume: `python dev.py bench --soak`; a few
in a test. After each restart, what is told of the job has to be what its recording holds.

The probe leaves a line for each evaluation that begins, in a file that outlives the server. A line is the
checksum of the evaluation's x, so what was computed twice is told apart, and so is what an uninterrupted run
would never have computed.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import torch

import graphs
from evidence import latents, on_record
from harness import Comfy

# Two samplers in series, a list of three latents, and samplers of one call; dpm_adaptive chooses its steps.
STEPS = {"series": 8, "list": 6, "dpm_adaptive": 12, "dpmpp_2m_sde": 18, "euler_ancestral_cfg_pp": 18}
SAMPLER = {"series": "dpmpp_2m", "list": "heun"}
STEP_S = 0.05
AT_ONCE = 2  # jobs, so that one also waits, and one may run while another is parked
STUCK_S = 90.0
SOON_S = 0.3
SIGTERM = 0.25  # of the ends are orderly
WITHIN = 0.85  # of the kills come while the job samples, not before it
LIVE = ("queued", "running", "pausing", "paused")


@dataclass(frozen=True)
class Stock:
    """An uninterrupted run without Midrun."""

    latent: torch.Tensor
    begun: list[str]
    seconds: float


@dataclass
class Victim:
    """A job that is killed now and then."""

    key: str
    sampler: str
    policy: str
    job_id: str
    lives: list[tuple[int, set[str]]] = field(default_factory=list)  # (kill that ended it, evaluations begun)
    seen: int = 0  # lines of evidence that belong to those lives


def soak(
    base: Path,
    count: int,
    seed: int,
    told: Callable[[str], None] = lambda told: None,
    scenarios: tuple[str, ...] = tuple(STEPS),
) -> dict[str, dict[str, Any]]:
    """End the server `count` times, each time with a live job; what became of the jobs."""
    return _Soak(base, seed, told, scenarios).run(count)


class _Soak:
    def __init__(
        self, base: Path, seed: int, told: Callable[[str], None], scenarios: tuple[str, ...]
    ) -> None:
        self.scenarios = scenarios
        self.evidence = base / "evidence"
        self.evidence.mkdir(parents=True)
        self.comfy = Comfy(base, evidence=self.evidence)
        self.random = random.Random(seed)
        self.told = told
        self.stock: dict[str, Stock] = {}
        self.victims: list[Victim] = []
        self.queued = 0
        self.moments: Counter[str] = Counter()  # what the job at which a kill was aimed was doing
        self.outcomes: Counter[str] = Counter()
        self.jobs_hit = 0
        self.twice: Counter[int] = Counter()  # kill -> evaluations that it made necessary again
        self.strange = 0
        self.false = 0  # restarts after which something else was told than the recording holds
        self.compared = 0
        self.edits: Counter[str] = Counter()
        self.troubles: list[str] = []

    def run(self, count: int) -> dict[str, dict[str, Any]]:
        try:
            self.comfy.start()
            for sampler in self.scenarios:
                self.stock[sampler] = self._run_stock(sampler)
            while self.moments.total() < count:
                self._kill_once()
            for victim in list(self.victims):
                self._finish(victim)
        finally:
            self.comfy.stop()
        return self._figures()

    def _run_stock(self, sampler: str) -> Stock:
        key = f"stock-{sampler}"
        began = time.monotonic()
        prompt_id = self.comfy.queue(self._graph(sampler, key, watched=False))
        self.comfy.wait_ended(prompt_id)
        return Stock(latents(self.comfy, prompt_id), self._begun(key), time.monotonic() - began)

    def _graph(self, sampler: str, key: str, **more: Any) -> graphs.Graph:
        slow = {"seconds": STEP_S}
        name = SAMPLER.get(sampler, sampler)
        graph = graphs.base(name, steps=STEPS[sampler], key=key, probe=slow, **more)
        return {"series": graphs.in_series, "list": graphs.listed}.get(sampler, lambda graph: graph)(graph)

    def _begun(self, key: str) -> list[str]:
        file = self.evidence / key
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    # -- to a kill -------------------------------------------------------------------------------------

    def _kill_once(self) -> None:
        while len(self.victims) < AT_ONCE:
            self._queue()
        aim = self.random.choice(self.victims)
        doing = self._bring(aim)
        for victim in list(self.victims):
            if self._state(victim) == "completed":
                self._finish(victim)
        if aim not in self.victims:
            return  # it ended before its moment came
        moment = self._moment(aim, doing)
        if self.random.random() < SIGTERM:
            self.comfy.stop()
            moment += " (SIGTERM)"
        else:
            self.comfy.kill()
        number = self.moments.total() + 1
        for victim in self.victims:
            begun = self._begun(victim.key)
            victim.lives.append((number, set(begun[victim.seen :])))
            victim.seen = len(begun)
        self.comfy.start()
        for victim in self.victims:
            self._compare(victim, number)
        if self._state(aim) == "completed":
            self.outcomes["ended_before_the_kill"] += 1
            self.victims.remove(aim)
        else:
            self.moments[moment] += 1
            self.jobs_hit += len(self.victims)
            self.told(f"kill {number}: {aim.sampler} {moment}, {self._line(aim)}")
        self._go_on(number)

    def _queue(self) -> None:
        self.queued += 1
        sampler = self.random.choice(self.scenarios)
        policy = self.random.choice(("hold", "park"))
        key = f"victim-{self.queued}"
        job_id = self.comfy.queue(self._graph(sampler, key, queue_policy=policy))
        self.victims.append(Victim(key, sampler, policy, job_id))

    def _bring(self, victim: Victim) -> str:
        """Let the job come to a random moment; what was done to it there."""
        doing = self.random.choice(("running", "running", "pausing", "paused", "resumed"))
        if self.random.random() < WITHIN:
            self._until_live(victim)
        time.sleep(self.random.uniform(0, self.stock[victim.sampler].seconds))
        if doing == "running":
            return doing
        wait = "" if doing == "pausing" else "?wait=30"
        if self.comfy.verb(victim.job_id, "pause", query=wait)[0] == 409:
            return doing  # it ended
        time.sleep(self.random.uniform(0, 2 * STEP_S if doing == "pausing" else SOON_S))
        if doing == "resumed":
            self.comfy.verb(victim.job_id, "resume")
            time.sleep(self.random.uniform(0, SOON_S))
        return doing

    def _until_live(self, victim: Victim) -> None:
        """Until it asks the model, or ended."""

        def live() -> bool:
            return len(self._begun(victim.key)) > victim.seen or self._state(victim) not in LIVE

        self.comfy.until(live, f"{victim} to begin an evaluation")

    def _moment(self, victim: Victim, doing: str) -> str:
        """What a kill that comes now hits."""
        job = self.comfy.job(victim.job_id)
        state = job["state"] if job["state"] != "paused" else "held" if job["held"] else "parked"
        return f"resumed_{victim.policy}" if doing == "resumed" and state in ("queued", "running") else state

    # -- after a kill ----------------------------------------------------------------------------------

    def _go_on(self, number: int) -> None:
        """Resume what the kill hit. Some of it runs into the next kill, the rest to its end."""
        hit = list(self.victims)
        for victim in hit:
            before = self.comfy.job(victim.job_id)
            if edited := before["state"] == "paused" and self.random.random() < 0.5:
                self._edit(victim, number)
            status, job = self.comfy.verb(victim.job_id, "resume")
            if status != 202:
                self._give_up(victim, f"kill {number}: resume answered {status} {job}")
            elif edited:
                told = job["modified_params"]["save"]["filename_prefix"]["from_step"]
                self.edits["true" if told == before["step"] else "false"] += 1
        stays = self.random.random() < 0.4
        for victim in hit[1:] if stays else hit:
            if victim in self.victims:
                self._finish(victim)

    def _finish(self, victim: Victim) -> None:
        """Run it to its end and compare it with the uninterrupted run."""
        if self._state(victim) == "paused":
            self.comfy.verb(victim.job_id, "resume")
        try:
            job = self.comfy.wait_for(victim.job_id, "completed", timeout=STUCK_S)
        except AssertionError as error:
            self._give_up(victim, f"stuck: {str(error)[:300]}")
            return
        self.victims.remove(victim)
        stock = self.stock[victim.sampler]
        same = torch.equal(latents(self.comfy, job["prompt_id"]), stock.latent)
        self.outcomes["equal" if same else "different"] += 1
        begun = self._begun(victim.key)
        self.strange += len(set(begun) ^ set(stock.begun))
        if not same or set(begun) != set(stock.begun):
            self.troubles.append(f"{victim} ended as {job}")
        self._count_twice(victim, set(begun[victim.seen :]))

    def _count_twice(self, victim: Victim, later: set[str]) -> None:
        """What a life began and a later one began again was lost by the kill that ended that life."""
        for kill, begun in reversed(victim.lives):
            self.twice[kill] += len(begun & later)
            later |= begun

    def _edit(self, victim: Victim, number: int) -> None:
        """Of something that changes no latent."""
        edit = {"save": {"filename_prefix": f"latents/test-{number}"}}
        status, answer = self.comfy.call("PUT", f"/midrun/jobs/{victim.job_id}/params", edit)
        if status != 200:
            self.troubles.append(f"kill {number}: an edit of {victim} answered {status} {answer}")

    def _compare(self, victim: Victim, number: int) -> None:
        """What is told of the job with what its recording holds."""
        job = self.comfy.job(victim.job_id)
        if job["state"] not in ("paused", "failed"):
            return
        self.compared += 1
        held = on_record(self.comfy.base / "user" / "__midrun" / "recordings" / victim.job_id)
        told = {name: job[name] for name in held}
        picture = parse_qs(urlsplit(job["preview_url"] or "").query).get("step")
        telemetry = job["telemetry"]["step"] if job["telemetry"] else 0
        if told != held or telemetry != held.get("step", 0) or picture not in (None, [str(job["step"])]):
            self.false += 1
            self.troubles.append(f"kill {number}: {victim.sampler} was told as {job}, but holds {held}")

    def _give_up(self, victim: Victim, told: str) -> None:
        self.outcomes["stuck"] += 1
        self.troubles.append(f"{victim.sampler} {victim.policy} {victim.job_id}: {told}")
        self.victims.remove(victim)
        self.comfy.verb(victim.job_id, "abort")

    def _state(self, victim: Victim) -> str:
        status, job = self.comfy.call("GET", f"/midrun/jobs/{victim.job_id}")
        return job["state"] if status == 200 else f"answered {status}"

    def _line(self, victim: Victim) -> str:
        job = self.comfy.job(victim.job_id)
        return f"{len(victim.lives[-1][1])} begun in that life, {job['evaluations']} known after it"

    def _figures(self) -> dict[str, dict[str, Any]]:
        kills = self.moments.total()
        twice = [self.twice[number] for number in range(1, kills + 1)]
        restarts = {"jobs_compared": self.compared, "told_otherwise": self.false, **self.edits}
        jobs = {"ended": self.outcomes["equal"] + self.outcomes["different"]}
        jobs |= {name: self.outcomes[name] for name in ("equal", "stuck", "ended_before_the_kill")}
        spread = {
            "median": statistics.median(twice),
            "max": max(twice),
            "kills_by_count": dict(Counter(twice)),
        }
        return {
            "kills": {"all": kills, "jobs_hit": self.jobs_hit, **self.moments},
            "restarts": restarts,
            "jobs": jobs | {"evaluations_no_stock_run_has": self.strange},
            "evaluations_computed_twice_a_kill": spread,
            **{f"trouble {index}": {"": told} for index, told in enumerate(self.troubles, 1)},
        }
