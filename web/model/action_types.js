// Every action that changes the model, as types: tsc checks the fields of what is dispatched and of what is reduced.
/** @import { StoreOf } from "../ui/store.js" */
/** @import { AbortDialog, Board, BreakpointForm, Breakpoint, CanvasChange, Choosing, Comparison, Curve, Draft, DraftForm, Job, LedgerDialog, LensView, Measured, Model } from "./types.js" */
/** @import { MoreDialog, ParamNode, Preview, Rejected, Several, Timeline, Tray, Usage, Viewer } from "./types.js" */

/**
 * What the server tells. `at` and `since` are milliseconds of the page's clock.
 * @typedef {{ type: "job", job: Job, at: number }
 *   | { type: "read", jobs: Job[], at: number }
 *   | { type: "jobs", jobs: Job[], next: string | null, first: boolean, since: number, at: number }
 *   | { type: "loading" }
 *   | { type: "loadingFailed" }
 *   | { type: "preview", preview: Preview & { job_id: string } }
 *   | { type: "previews", job_id: string, previews: Preview[] }
 *   | { type: "events", job_id: string, events: any[] }
 *   | { type: "telemetry", job_id: string, telemetry: Measured[] }
 *   | { type: "usage", usage: Usage }
 *   | { type: "gone", job_ids: string[] }
 *   | { type: "offline", offline: boolean }
 *   | { type: "tick", at: number }
 * } Told
 */

/**
 * A request about a job and its end.
 * @typedef {{ type: "ask", job_id: string, verb: string }
 *   | { type: "answered", job_id: string }
 *   | { type: "refused", job_id: string, message: string }
 * } Asked
 */

/**
 * The editor of parameters, and the canvas as an editor. An `undraft` without an input is of all.
 * @typedef {{ type: "params", job_id: string, nodes: Record<string, ParamNode> }
 *   | { type: "draft", job_id: string, node_id: string, input: string, raw: any }
 *   | { type: "undraft", job_id: string, node_id?: string, input?: string }
 *   | { type: "saved", job_id: string, drafts: Record<string, Draft> }
 *   | { type: "rejected", job_id: string, rejected: Rejected[] }
 *   | { type: "names", names: Record<string, string> }
 *   | { type: "canvas", job_id: string, changes: CanvasChange[] }
 *   | { type: "canvasSent", job_id: string, values: Record<string, any> }
 *   | { type: "confirm", job_id: string | null }
 * } Edited
 */

/**
 * The panel, the dialogs and the viewer; null closes.
 * @typedef {({ type: "tray" } & Partial<Tray>)
 *   | { type: "open", job_id: string | null, tab?: string }
 *   | { type: "remove", job_id: string | null }
 *   | { type: "abortDialog", job_id: string | null }
 *   | ({ type: "abort" } & Partial<AbortDialog>)
 *   | ({ type: "several" } & Partial<Several>)
 *   | { type: "toggle", job_id: string }
 *   | ({ type: "board" } & Partial<Board>)
 *   | { type: "boardClosed" }
 *   | { type: "choose", job_id: string }
 *   | ({ type: "choosing" } & Partial<Choosing>)
 *   | { type: "choosingClosed" }
 *   | { type: "pick", number: number }
 *   | { type: "paint", number: number }
 *   | ({ type: "draftForm" } & Partial<DraftForm>)
 *   | { type: "draftFormClosed" }
 *   | ({ type: "ledger" } & Partial<LedgerDialog>)
 *   | { type: "ledgerClosed" }
 *   | { type: "view", job_id: string | null, node_id?: string | null, step?: number | null }
 *   | ({ type: "viewer" } & Partial<Viewer>)
 * } Opened
 */

/**
 * Time travel, breakpoints and comparing.
 * @typedef {{ type: "forkDialog", job_id: string | null, node_id?: string | null, step?: number, key?: string }
 *   | { type: "forkStep", step: number }
 *   | { type: "forkAxis", index: 0 | 1, key?: string, text?: string }
 *   | { type: "forkAsked" }
 *   | { type: "forkRefused", message: string, rejected: Rejected[] }
 *   | { type: "breakpoints", job_id: string, breakpoints: Breakpoint[] }
 *   | ({ type: "breakpointForm" } & Partial<BreakpointForm>)
 *   | { type: "breakpointAdded" }
 *   | { type: "chart", name: string }
 *   | { type: "comparison", comparison: Comparison | null }
 *   | { type: "curve", curve: Curve | null }
 *   | { type: "moreDialog", job_id: string | null }
 *   | ({ type: "more" } & Partial<MoreDialog>)
 *   | { type: "watching", on: boolean }
 * } Travelled
 */

/**
 * What a word does: of an input, what was found, or that it is closed.
 * @typedef {{ type: "lensOf", job_id: string, node_id: string, input: string }
 *   | ({ type: "lens" } & Partial<LensView>)
 *   | { type: "lensClosed" }
 * } Looked
 */

/**
 * The cursor of all views, and the timeline.
 * @typedef {{ type: "cursor", job_id: string | null, node_id?: string | null, step?: number | null }
 *   | { type: "focus", job_id: string }
 *   | { type: "released", key: boolean }
 *   | ({ type: "timeline" } & Partial<Timeline>)
 * } Timed
 */

/**
 * @typedef {Told | Asked | Edited | Opened | Travelled | Looked | Timed} Action
 * @typedef {{ [T in Action["type"]]: (model: Model, action: Extract<Action, { type: T }>) => Model }} Reducers
 * @typedef {StoreOf<Model, Action>} Store
 */

export {};
