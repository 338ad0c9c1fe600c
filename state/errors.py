"""The refusals of Midrun. Each message says what was refused, for which job, why, and what to do."""

from __future__ import annotations

from typing import Any

from .states import State


class MidrunError(Exception):
    """Anything Midrun refuses to do; `code` names it in the REST API."""

    code = "bad_request"


class BadRequest(MidrunError):
    """A request that makes no sense."""


class UnknownJob(MidrunError):
    """No job goes by that id."""

    code = "unknown_job"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"No job {short(job_id)}: its workflow has no Midrun node, or the job was deleted. "
            "GET /midrun/jobs lists all jobs."
        )


class IllegalTransition(MidrunError):
    """The job's state does not allow that. `rejected`: the edits that it refused, as in InvalidParams."""

    code = "illegal_transition"

    def __init__(
        self, verb: str, job_id: str, state: State, because: str, rejected: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(f"Cannot {verb} job {short(job_id)}: {because}")
        self.state = state
        self.rejected = rejected


class TooLarge(MidrunError):
    """A request body over the limit."""

    code = "too_large"


class NoLatent(MidrunError):
    """There is no such step to give out."""

    code = "no_latent"

    def __init__(self, job_id: str, step: int | None) -> None:
        told = "no finished step" if step is None else f"no step {step}"
        super().__init__(
            f"Job {short(job_id)} has {told} on record: it has not got that far, or its recording is gone."
        )


class NoStep(MidrunError):
    """There is no such step to go back to."""

    code = "no_step"

    def __init__(self, job_id: str, step: int, node_id: str | None) -> None:
        of = f" of node {short(node_id)}" if node_id is not None else ""
        super().__init__(
            f"Job {short(job_id)} has no step {step}{of} on record: it has not got that far, its recording "
            "is gone, or the step belongs to an earlier sampling call."
        )


class NoPreview(MidrunError):
    """There is no such picture to give out; `because` is a sentence."""

    code = "no_preview"

    def __init__(self, job_id: str, because: str) -> None:
        super().__init__(f"Job {short(job_id)} has no such preview: {because}")


class NoTake(MidrunError):
    """A rewind left nothing behind."""

    code = "no_take"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"Job {short(job_id)} has no steps left over: it was not rewound, or it has computed a step "
            "since then. To keep both, fork it."
        )


class NoGrid(MidrunError):
    """A job without a grid of forks or drafts."""

    code = "no_grid"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"Job {short(job_id)} has no grid to show: it was not forked into several jobs at once, and it "
            "is not one of such forks, nor a draft. POST fork with `vary` makes a grid."
        )


class NoCheck(MidrunError):
    """A job that was never checked."""

    code = "no_check"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {short(job_id)} was not checked yet. POST check does that.")


class NoLens(MidrunError):
    """A job that nobody looked into, or without a result that is still in memory."""

    code = "no_lens"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {short(job_id)} has no heat map that is done. POST lens makes one.")


class Unavailable(MidrunError):
    """Midrun could not start; ComfyUI works without it."""

    code = "unavailable"


def short(job_id: str) -> str:
    """An id as a person reads it in a message: its printable beginning, as it comes from the client."""
    shown = "".join(c if c.isprintable() else "?" for c in job_id[:36])
    return shown + ("…" if len(job_id) > 36 else "")


class InvalidParams(MidrunError):
    """Edits that cannot be made; none of the request was stored.

    rejected: [{node_id, input, reason}], with `rewind`: {node_id, step} where an edit is possible after that
    """

    code = "invalid_params"

    def __init__(self, message: str, rejected: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.rejected = rejected


class EditRefused(InvalidParams):
    """Midrun refused edits."""

    def __init__(self, job_id: str, rejected: list[dict[str, Any]]) -> None:
        first = rejected[0]
        told = f"{first['input']} of node {short(str(first['node_id']))}: {first['reason']}."
        more = f" Other edits refused: {len(rejected) - 1}." if len(rejected) > 1 else ""
        super().__init__(f"Nothing was changed in job {short(job_id)}. {told}{more}", rejected)


class DraftsRefused(InvalidParams):
    """Drafts that cannot be made."""

    def __init__(self, because: str, rejected: list[dict[str, Any]]) -> None:
        super().__init__(f"No draft was made: {because}", rejected)


class RunRefused(InvalidParams):
    """ComfyUI's validation refused another run of the job's workflow."""

    def __init__(self, job_id: str, because: str, rejected: list[dict[str, Any]]) -> None:
        self.because = because
        told = f"ComfyUI refused to run job {short(job_id)} again: {because} The job is unchanged; "
        super().__init__(told + "resume it once that is fixed.", rejected)
