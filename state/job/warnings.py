"""What a job warns its user of: (code, a sentence with gaps to fill in)."""

from __future__ import annotations

Warning = tuple[str, str]

NOT_ON_DISK: Warning = (
    "not_on_disk",
    "From here on, this job cannot survive a restart of ComfyUI: {}. It can still be paused and resumed "
    "while this server runs.",
)
NOT_IN_DATABASE: Warning = (
    "not_in_database",
    "The state of this job cannot be stored, so it may be lost when ComfyUI restarts: {}.",
)
NOT_IN_STORE: Warning = (
    "not_in_store",
    "The shared store does not have the newest steps of this job: {}. They are on this disk, and follow as "
    "soon as the store answers.",
)
TAKEN_OVER: Warning = (
    "taken_over",
    "The server on {} took this job over from the shared store, as this one was silent. It is paused here. "
    "To go on here as well, fork it.",
)
RECORDING_GONE: Warning = (
    "recording_gone",
    "The recording of this job's {} evaluations is gone from the disk, so the job starts again from step 0.",
)
RECORDING_DAMAGED: Warning = (
    "recording_damaged",
    "{} recorded evaluations of this job, from number {} on, cannot be read back ({}). They are computed "
    "again.",
)
INPUTS_CHANGED: Warning = (
    "inputs_changed",
    "Since this job was recorded, something other than an edit changed its {}: perhaps a node that answers "
    "differently each time. The steps from here on use the new answer.",
)
UNREADABLE: Warning = (
    "unreadable_row",
    "This version of Midrun cannot read the {} of this job: a newer version may have written them. They are "
    "kept as they are.",
)
NOT_KEPT: Warning = (
    "not_kept",
    "These nodes answer differently in each run, and Midrun can keep only texts and numbers, not what they "
    "gave: {}. When this job goes on in a new run (because it made way or was edited, or ComfyUI restarted), "
    "the steps from there on use the new answers.",
)
WENT_ON: Warning = (
    "parked_run_went_on",
    "A node caught ComfyUI's interrupt when this job made way, so the workflow ended as if it were "
    "complete. What that run saved is not the result of this job; resume the job to get it.",
)
WITHOUT_SECRETS: Warning = (
    "without_secrets",
    "This job was queued with a Comfy.org sign-in, which Midrun does not store. Nodes that need it will fail "
    "after a resume. If you need them, queue the workflow as a new job.",
)
DECODER_MISSING: Warning = (
    "preview_decoder_missing",
    "This job's previews should be decoded by TAESD, but the decoder is missing: {}. Until it is there, they "
    "show the latent's own colours.",
)
DECODER_UNUSABLE: Warning = (
    "preview_decoder_unusable",
    "This job's previews are not decoded by TAESD: {}.",
)
NAN_LATENT: Warning = (
    "nan_latent",
    "{} This is the latent of step {}; whatever is sampled from it will be broken, too.",
)
NOT_PREVIEWED: Warning = (
    "previews_not_stored",
    "Previews of this job cannot be stored, so only the newest one can be seen: {}.",
)
NO_THERMOMETER: Warning = (
    "no_thermometer",
    "This job should pause when the GPU is hot, but the temperature cannot be read: {}.",
)
NOT_FINISHED: Warning = (
    "not_finished",
    "A breakpoint should have finished this job here, and paused it instead: {}",
)

REMEMBERS: Warning = (
    "recomputes",
    "What this workflow's {} remembers from one step to the next cannot be stored ({}). A resume asks the "
    "model once more what is done already, which is exact and takes its time. The setting *Resume quickly* "
    "leaves that out.",
)
MEMORY_LOST: Warning = (
    "inexact",
    "What this workflow's {} remembers from one step to the next is lost ({}), so the result may differ from "
    "that of an uninterrupted run.",
)
NOT_AS_RECORDED: Warning = (
    "not_as_recorded",
    "The model was asked once more what is on record, and answered otherwise, by {} at most. Something that "
    "Midrun does not know of changed it; the steps from here on may differ from an uninterrupted run.",
)
OTHERWISE_HERE: Warning = (
    "answers_otherwise",
    "Here the model answers evaluation {} otherwise than where it was recorded, by {} at most; the largest "
    "value of that answer is {}. What is on record stays as it is; the steps from here on differ about as "
    "much from those of the other machine.",
)
OTHER_THREAD: Warning = (
    "loop_on_other_thread",
    "{} samples on a thread of its own, where Midrun does not see it: it can be neither paused nor resumed.",
)
UNRECORDABLE: Warning = (
    "answer_not_recordable",
    "{} is not watched: its network answers with {}, which cannot be kept.",
)
NEVER_HELD: Warning = (
    "never_held",
    "{} has a sampling loop of its own, which cannot wait in place: when the job pauses, it makes way for "
    "others, whatever its queue policy says.",
)
NOT_SHOWN: Warning = (
    "steps_not_shown",
    "There are no pictures of the steps of this job: {} gives ComfyUI no preview of them, and Midrun cannot "
    "compute one, because {}.",
)
SHOWN_UNGUIDED: Warning = (
    "steps_shown_unguided",
    "The pictures of the steps of {} show what its network answers to the prompt alone: Midrun does not know "
    "its cfg.",
)

# Told anew if still true.
OF_A_RUN = (
    RECORDING_GONE,
    RECORDING_DAMAGED,
    INPUTS_CHANGED,
    NOT_KEPT,
    WITHOUT_SECRETS,
    DECODER_MISSING,
    DECODER_UNUSABLE,
    NAN_LATENT,
    NOT_PREVIEWED,
    NO_THERMOMETER,
    NOT_FINISHED,
    OTHER_THREAD,
    UNRECORDABLE,
    NEVER_HELD,
    NOT_SHOWN,
    SHOWN_UNGUIDED,
    REMEMBERS,
    MEMORY_LOST,
    NOT_AS_RECORDED,
    OTHERWISE_HERE,
)
