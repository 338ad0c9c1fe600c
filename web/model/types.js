// What the page knows of the server and of itself, as types. The actions that change it are in action_types.js.
/** @import { Finding } from "./finding.js" */

/**
 * -- from the server -------------------------------------------------------------------------------------
 * @typedef {{ id: string | null, name: string | null }} Workflow
 * @typedef {{ from: any, to: any, from_step: number | null }} Edit
 * @typedef {{ active_s: number, paused_s: number, mean_step_s: number | null, eta_s: number | null, eta_rough?: boolean }} Timing  eta_rough: something that is left was never timed
 * @typedef {"queued" | "running" | "pausing" | "paused" | "completed" | "aborted" | "failed"} State
 * @typedef {{
 *   job_id: string, prompt_id: string, prompt_ids: string[], workflow: Workflow, sampler_nodes: string[],
 *   state: State, held: boolean, pause_reason: string | null, node_id: string | null,
 *   display_node_id: string | null, iteration: number | null,
 *   step: number, total_steps: number | null, evaluations: number, sigma: number | null,
 *   paused_at_step: number | null, modified_params: Record<string, Record<string, Edit>>, modified_in: Record<string, Record<string, string>>,
 *   abort_reason: string | null, error: { type: string, message: string, node_id: string | null } | null,
 *   gpu_released: boolean, gpu_free: number | null, queue_policy: string, timing: Timing,
 *   warnings: { code: string, message: string }[], source_url: string | null, preview_url: string | null,
 *   take: { node_id: string | null, step: number } | null,
 *   parent: { job_id: string, step: number, node_id?: string | null } | null, grid: string | null,
 *   varied: Record<string, Record<string, any>> | null,
 *   imported?: Imported | null, check?: Check | null,
 *   retry_of?: { job_id: string, evaluations: number, server: string | null } | null,
 *   exactness?: { kind: string, evaluations: number, seconds: number | null, because: string | null },
 *   choice?: Choice | null, wires?: Wires | null,
 *   paused_before: string | null, paused_because?: string | null, previews?: { pause_method: string } | null,
 *   breakpoints: Breakpoint[], telemetry?: Omit<Measured, "node_id"> | null,
 *   created_at: string, updated_at: string,
 * }} Job
 * @typedef {{
 *   node_id: string, kind: "image" | "latent" | "mask", count: number, most: number,
 *   otherwise: "all" | "none" | "first", until: string | null, paints: boolean, version: string,
 * }} Choice  that a job waits for; most 0: any number; version of its pictures, "" where there are none
 * @typedef {{
 *   name: string, kind: string, type: string, count: number, shape: number[] | null, dtype: string | null,
 *   device: string | null, minimum: number | null, maximum: number | null, mean: number | null, not_finite: number,
 *   tokens: number | null, parts: string[], text: string | null, pictured: boolean,
 * }} WireValue  that stands on the wire into the input `name`; count: of the list that it is the first of
 * @typedef {{ node_id: string, version: string, values: WireValue[] }} Wires  before which node; version: of the pictures
 * @typedef {{ evaluation: number, difference: number | null, largest: number | null }} Checked
 * @typedef {{
 *   evaluation: number, step: number, node_id: string, same: string, difference: number | null,
 *   relative: number | null,
 * }} Compared  an evaluation that was asked again
 * @typedef {{
 *   state: "queued" | "running" | "done" | "cancelled" | "failed", verdict: string | null, compared: number,
 *   total: number, earlier: number, first: Compared | null, largest: Compared | null, error: string | null,
 *   changed: { code: string, name: string, message: string, arithmetic: boolean }[],
 * }} Check
 * @typedef {{
 *   state: "queued" | "running" | "done" | "cancelled" | "failed", step: number, maximum: number | null,
 *   mean: number | null, picture: string | null, error: string | null,
 * }} Lens
 * @typedef {{
 *   at: string, wants_check: boolean, checked: Checked | null,
 *   differences: { code: string, name: string, message: string, arithmetic: boolean }[],
 * }} Imported  of a job that came in a bundle
 * @typedef {{
 *   job_id?: string, node_id: string, display_node_id: string, iteration: number | null, step: number,
 *   sigma: number | null, url: string, width: number,
 *   height: number, kind?: string, frames?: number, method: string, label: string, created_at: string,
 * }} Preview
 * @typedef {{ jobs: Record<string, number>, bytes: number, free: number, spared_s: number }} Usage
 * @typedef {{
 *   computed_s: number, kept_s: number, undecided_s: number, thrown_s: number, replayed_s: number,
 *   saved_by_drafts_s: number, saved_by_aborts_s: number,
 * }} Figures  seconds of the GPU's time
 * @typedef {"week" | "workflow" | "model" | "reason"} LedgerBy
 * @typedef {{ total: Figures } & Record<`by_${LedgerBy}`, (Figures & Record<string, any>)[]>} Ledger
 * @typedef {{ told: Ledger | null, by: LedgerBy, message: string | null }} LedgerDialog  told: null until it was read
 * @typedef {{ node_id: string, step: number }} Rewind  after which an input can be edited
 * @typedef {{
 *   value: any, original: any, modified: boolean, verdict: string, reason: string, rewind?: Rewind | null,
 *   type: string, min: number | null, max: number | null, step: number | null, options: any[] | null,
 *   multiline: boolean,
 * }} Input
 * @typedef {{ class_type: string, title: string, inputs: Record<string, Input> }} ParamNode
 * @typedef {{ node_id: string, input: string, reason: string, rewind?: Rewind | null }} Rejected  an edit
 * @typedef {"step" | "every" | "sigma_below" | "change_below" | "nan" | "exception" | "node" | "time" | "heat"} Kind
 * @typedef {"pause" | "log" | "abort" | "finish" | "ask"} Action  of a breakpoint
 * @typedef {{
 *   id: string, kind: Kind, value: number | null, node_id: string | null, enabled: boolean, action: Action,
 *   timeout_s: number, iteration?: number | null, hits: number, from?: string, to?: string, above?: number, below?: number,
 * }} Breakpoint  the last four: hours of the day, degrees of the GPU
 * @typedef {{
 *   node_id: string, step: number, sigma: number | null, change: number | null, norm: number | null,
 *   seconds: number | null, memory: number | null,
 * }} Measured  what was measured in a step
 * @typedef {{ node_id: string, title: string, class_type: string, input: string, values: [any, any] }} Difference
 */

/**
 * -- the page's own ----------------------------------------------------------------------------------------
 * @typedef {{ node_id: string, input: string, title: string, from: any, to: any }} CanvasChange
 * @typedef {{ raw: string | boolean, value: any }} Draft  value undefined: what was typed is no value yet
 * @typedef {{
 *   nodes: Record<string, ParamNode> | null, drafts: Record<string, Draft>, refused: Record<string, string>,
 * }} Editor  drafts and refused by `pathKey`
 * @typedef {{
 *   job_id: string, mode: "stop" | "finish", reason: string, reasons: string[], sent: boolean,
 * }} AbortDialog  sent: then it shows what is left
 * @typedef {{
 *   job_id: string, node_id: string | null,
 *   compare: null | "source" | number | { job: string }, split: number, zoom: number,
 *   find: Find | null,
 * }} Viewer  at the step of the cursor; zoom 0: fit; compare with the source, a step, or another job's same step
 * @typedef {{ finding: Finding, full: boolean }} Find  a step that is looked for; full: in full quality, which not every job has
 * @typedef {{
 *   key: string, job_id: string, state: string, workflow: string | null, node_id: string | null, step: number,
 *   total_steps: number | null, host: string, alive: boolean | null, at: number,
 * }} Other  a job that another server has in the shared store
 * @typedef {{
 *   grid: string, ids: string[], ticked: string[], step: number | null, told: string | null,
 * }} Board  drafts that are chosen from; step: that all are to come to, as it was typed
 * @typedef {{
 *   node_id: string, input: string, count: number, step: number, sent: boolean, message: string | null,
 * }} DraftForm
 * @typedef {{ board: Board | null, draftForm: DraftForm | null }} BoardModel
 * @typedef {{
 *   job_id: string, ticked: number[], painting: number | null, painted: boolean, sent: boolean,
 *   message: string | null, brush: number, cursor: [number, number],
 * }} Choosing  painting: the number of the picture that a mask is painted on; brush: its width, as a share of the shorter side; cursor: where the keys paint, as shares of the picture
 * @typedef {{ choosing: Choosing | null }} ChoosingModel
 * @typedef {{
 *   paused: boolean, interrupted: number, choices: number, standing: number, selected: string[] | null, asked: string | null, sure: string | null,
 *   told: { n: number, of: number, why: string } | null,
 * }} Several  paused: the queue stands still; interrupted: jobs that a dead server left; choices: jobs that wait for a choice; standing: jobs that are paused, those included; selected: null where there is no selecting; asked: the verb that is under way; sure: one that needs another click; told: what was refused, n of so many
 * @typedef {{
 *   filter: string, open: string | null, left: string | null, tab: string, search: string, top: number,
 *   height: number, shown: boolean, pointed: string | null,
 *   focused: string | null, touch: boolean, over: boolean,
 *   incoming: { name: string, refused: string | null } | null,
 *   shares: boolean, trouble: string | null, others: Other[], taken: string | null,
 * }} Tray  shares: the server has a shared store; trouble: with it; others: jobs of other servers; taken: why one was not taken over; over: a file is held over it; incoming: a file that is on its way in, or was refused; left: was open before; pointed, focused: the card with the mouse, with the focus; touch: there is no mouse
 * @typedef {{
 *   kind: Kind, value: string, until: string, node_id: string, iteration: string, action: Action,
 *   timeout: string, refused: string | null,
 * }} BreakpointForm  as typed; time goes from value to until, heat from above value to below until
 * @typedef {{ key: string, text: string }} Axis  an input by `pathKey`, "" for none, and its values as typed
 * @typedef {{
 *   job_id: string, node_id: string | null, step: number, axes: [Axis, Axis], refused: Record<string, string>,
 *   message: string | null, sent: boolean,
 * }} ForkDialog  refused: by `pathKey`; sent: the server makes them
 * @typedef {{ job_id: string, steps: string, sent: boolean, message: string | null }} MoreDialog  steps: as typed
 * @typedef {{
 *   job_id: string, with: string, key: string, points: { step: number, value: number }[], first: number | null,
 *   message: string | null, known: boolean,
 * }} Curve  how far two jobs are apart; key: of what it was read; first: step at which they part; message: why there is none
 * @typedef {{
 *   job_id: string, with: string, step: number, other: string | null, differences: Difference[],
 *   message: string | null,
 * }} Comparison  other: URL of the other job's picture; message: why there is none
 * @typedef {{
 *   fork: ForkDialog | null, breakpointForm: BreakpointForm, telemetry: Record<string, Measured[]>, chart: string,
 *   comparison: Comparison | null, curve: Curve | null, more: MoreDialog | null, watching: boolean,
 * }} TravelModel
 * @typedef {{
 *   job_id: string, node_id: string, input: string, word: string | null, found: Lens | null,
 *   message: string | null,
 * }} LensView  what a word of that input does; message: why it was refused
 * @typedef {{ lens: LensView | null }} LensModel
 * @typedef {{ job_id: string, node_id: string | null, step: number }} Cursor  the step that is looked at; node_id null: the job is at no node yet
 * @typedef {{
 *   kind: "scrub" | "keys" | "lane" | "pan" | "range", x: number, at: number, lane?: string,
 * }} Drag  what is being dragged: the cursor, by the pointer or by a key that is held; a lane that may be clicked; what is in sight; a part of the overview. x: where it began, in pixels; at: in steps
 * @typedef {{
 *   shown: boolean, job_id: string | null, from: number | null, to: number | null, top: number, width: number,
 *   height: number, hover: number | null, drag: Drag | null, params: boolean | null,
 * }} Timeline  from, to: the part of the axis in sight, in steps, null: all; top: pixels that the lanes are scrolled; width, height: of the panel; hover: the step below the pointer; params: whether parameters are beside it, null: where there is room
 * @typedef {{ cursor: Cursor | null, timeline: Timeline }} TimelineModel  cursor null: the newest step
 * @typedef {TravelModel & LensModel & TimelineModel & {
 *   jobs: Record<string, Job>, order: string[], byPrompt: Record<string, string>,
 *   received: Record<string, number>, stepsByNode: Record<string, Record<string, number>>,
 *   next: string | null | undefined, loading: boolean, offline: boolean, now: number, usage: Usage | null,
 *   previews: Record<string, Preview[]>, events: Record<string, any[]>, editors: Record<string, Editor>,
 *   requests: Record<string, string>, refusals: Record<string, string>, names: Record<string, string>,
 *   canvas: Record<string, CanvasChange[]>, canvasBaselines: Record<string, Record<string, any>>,
 *   tray: Tray, several: Several, board: Board | null, choosing: Choosing | null, draftForm: DraftForm | null, ledger: LedgerDialog | null, abort: AbortDialog | null, viewer: Viewer | null, confirm: string | null,
 *   removing: string | null,
 * }} Model
 */

export {};
