// Midrun's REST API and events, over the frontend's own `api`. No state, no DOM.
/** @import { Action } from "../model/action_types.js" */
/** @import { Job, Ledger, Lens } from "../model/types.js" */

/**
 * @typedef {{
 *   fetchApi: (route: string, options?: RequestInit) => Promise<Response>,
 *   apiURL: (route: string) => string,
 *   clientId?: string,
 *   addEventListener: (type: string, listener: (event: any) => void) => void,
 *   removeEventListener: (type: string, listener: (event: any) => void) => void,
 * }} Api  what is used of ComfyUI's `api`
 */

/** The server refused, or (code "offline") did not answer. */
export class Refused extends Error {
  /** @param {number} status @param {{ code: string, message: string, rejected?: any[] }} error */
  constructor(status, error) {
    super(error.message);
    this.name = "Refused";
    this.status = status;
    this.code = error.code;
    this.rejected = error.rejected ?? [];
  }
}

/** @param {Api} api */
export function createClient(api) {
  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  async function call(method, path, body) {
    // Whom ComfyUI tells of what is queued, if the page that queued it at first is closed or elsewhere.
    /** @type {Record<string, string>} */ const headers = api.clientId ? { "Midrun-Client": api.clientId } : {};
    /** @type {RequestInit} */ const options = { method, cache: "no-store", headers };
    if (body instanceof FormData) {
      options.body = body;
    } else if (body instanceof Blob) {
      options.body = body; // as it is, read from the disk while it is sent
      headers["Content-Type"] = "application/octet-stream";
    } else if (body !== undefined) {
      options.body = JSON.stringify(body);
      headers["Content-Type"] = "application/json";
    }
    /** @type {Response} */ let response;
    try {
      response = await api.fetchApi(path, options);
    } catch (error) {
      throw new Refused(0, { code: "offline", message: String(error) });
    }
    if (response.status === 204) return null;
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null) return answer;
    const error = answer?.error;
    const known = error && typeof error === "object" && typeof error.message === "string";
    throw new Refused(
      response.status,
      known ? error : { code: "offline", message: `${response.status} ${response.statusText}` },
    );
  }

  const of = (/** @type {string} */ id, more = "") => `/midrun/jobs/${encodeURIComponent(id)}${more}`;

  return {
    /** @param {{ state?: string[], limit?: number, before?: string }} [query] @returns {Promise<{ jobs: Job[], next: string | null }>} */
    jobs({ state = [], limit = 50, before } = {}) {
      const query = new URLSearchParams({ limit: String(limit) });
      if (state.length) query.set("state", state.join(","));
      if (before !== undefined) query.set("before", before);
      return call("GET", `/midrun/jobs?${query}`);
    },
    job: (/** @type {string} */ id) => call("GET", of(id)),
    pause: (/** @type {string} */ id) => call("POST", of(id, "/pause"), {}),
    resume: (/** @type {string} */ id, /** @type {any} */ prompt = undefined) =>
      call("POST", of(id, "/resume"), prompt === undefined ? {} : { prompt }),
    step: (/** @type {string} */ id, count = 1) => call("POST", of(id, "/step"), { count }),
    abort: (/** @type {string} */ id, /** @type {string | null} */ reason, /** @type {string} */ mode) =>
      call("POST", of(id, "/abort"), { reason, mode }),
    params: (/** @type {string} */ id) => call("GET", of(id, "/params")),
    edit: (
      /** @type {string} */ id,
      /** @type {any} */ edits,
      /** @type {"resume" | "next_step"} */ apply = "resume",
    ) => call("PUT", of(id, `/params?apply=${apply}`), edits),
    undoAll: (/** @type {string} */ id) => call("DELETE", of(id, "/params")),
    undo: (/** @type {string} */ id, /** @type {string} */ node, /** @type {string} */ input) =>
      call("DELETE", of(id, `/params/${encodeURIComponent(node)}/${encodeURIComponent(input)}`)),
    previews: (/** @type {string} */ id) => call("GET", of(id, "/previews")),
    events: (/** @type {string} */ id) => call("GET", of(id, "/events")),
    /** @param {string} id @param {number} step @param {string | null} node @param {Record<string, Record<string, any>> | null} params */
    rewind: (id, step, node, params = null) =>
      call("POST", of(id, "/rewind"), {
        step,
        ...(node === null ? {} : { node_id: node }),
        ...(params === null ? {} : { params }),
      }),
    restore: (/** @type {string} */ id) => call("DELETE", of(id, "/rewind")),
    /** @param {string} id @param {{ step: number, node_id?: string, vary: Record<string, Record<string, any[]>> }} fork */
    fork: (id, fork) => call("POST", of(id, "/fork"), fork),
    more: (/** @type {string} */ id, /** @type {number} */ steps) => call("POST", of(id, "/more"), { steps }),
    /** How far two jobs are apart, over all steps. */
    apart: (/** @type {string} */ id, /** @type {string} */ other) =>
      call("GET", of(id, `/compare/steps?with=${encodeURIComponent(other)}`)),
    setBreakpoints: (/** @type {string} */ id, /** @type {any[]} */ breakpoints) =>
      call("PUT", of(id, "/breakpoints"), { breakpoints }),
    telemetry: (/** @type {string} */ id) => call("GET", of(id, "/telemetry")),
    /** Two jobs after the same step. */
    /** With another job, or with what a rewind of this one left over. */
    compare: (/** @type {string} */ id, /** @type {string} */ other, /** @type {number} */ step) =>
      call(
        "GET",
        of(id, `/compare?${id === other ? "take=true" : `with=${encodeURIComponent(other)}`}&step=${step}`),
      ),
    /** A job in a file that another server gave. */
    importBundle: (/** @type {Blob} */ file) => call("POST", "/midrun/jobs/import", file),
    /** Whether the model still answers what is on record. */
    check: (/** @type {string} */ id) => call("POST", of(id, "/check"), {}),
    cancelCheck: (/** @type {string} */ id) => call("DELETE", of(id, "/check")),
    /** What a word of the prompt does. */
    /** @param {string} id @param {{ node_id: string, input: string, without: string, step?: number }} wanted @returns {Promise<Lens>} */
    lookInto: (id, wanted) => call("POST", of(id, "/lens"), wanted),
    /** @param {string} id @returns {Promise<Lens>} */
    lens: (id) => call("GET", of(id, "/lens")),
    cancelLens: (/** @type {string} */ id) => call("DELETE", of(id, "/lens")),
    remove: (/** @type {string} */ id) => call("DELETE", of(id)),
    failures: (limit = 100) => call("GET", `/midrun/failures?limit=${limit}`),
    usage: () => call("GET", "/midrun/usage"),
    /** What became of the GPU's time. @returns {Promise<Ledger>} */
    ledger: () => call("GET", "/midrun/ledger"),
    /** Many beginnings of the workflow on the canvas. */
    /** @param {any} prompt @param {any} workflow @param {any} vary @param {number} step */
    draft: (prompt, workflow, vary, step) =>
      call("POST", "/midrun/drafts", {
        prompt,
        vary,
        step,
        extra_data: { extra_pnginfo: { workflow } },
        ...(api.clientId ? { client_id: api.clientId } : {}),
      }),
    /** One of those that it waits to be chosen from, or several; mask: a picture in the input folder. */
    choose: (/** @type {string} */ id, /** @type {number[]} */ chosen, /** @type {string | null} */ mask) =>
      call("POST", of(id, "/choose"), { chosen, ...(mask === null ? {} : { mask }) }),
    /** By ComfyUI's own upload; its name there. @param {Blob} mask @param {string} id @returns {Promise<string>} */
    async uploadMask(mask, id) {
      const form = new FormData();
      form.append("image", mask, `mask-${id.slice(0, 8)}.png`);
      form.append("subfolder", "midrun");
      const { name, subfolder } = await call("POST", "/upload/image", form);
      return `${subfolder}/${name}`;
    },
    goOn: (/** @type {string[]} */ ids, /** @type {number | null} */ step) =>
      call("POST", "/midrun/drafts/go_on", { ids, step }),
    /** @returns {Promise<{ jobs: Job[] }>} */
    jobsOf: (/** @type {string} */ grid) => call("GET", `/midrun/jobs?${new URLSearchParams({ grid })}`),
    queue: () => call("GET", "/midrun/queue"),
    /** Of many jobs at once. */
    several: (/** @type {string} */ verb, /** @type {any} */ which) =>
      call("POST", `/midrun/jobs/${verb}`, which),
    /** Jobs of other servers. */
    store: () => call("GET", "/midrun/store"),
    take: (/** @type {string} */ key) =>
      call("POST", `/midrun/store/${encodeURIComponent(key)}/take`, {}),
    /** Where the newest latent is. */
    latentUrl: (/** @type {string} */ id) => api.apiURL(of(id, "/latent")),
    csvUrl: (/** @type {string} */ id) => api.apiURL(of(id, "/telemetry?format=csv")),
    /** Where the ledger is as a table. */
    ledgerUrl: () => api.apiURL("/midrun/ledger?format=csv"),
    /** Where the job is as a page that opens anywhere. */
    reportUrl: (/** @type {string} */ id) => api.apiURL(of(id, "/report")),
    /** Where the job is in one file, to go on elsewhere. */
    bundleUrl: (/** @type {string} */ id) => api.apiURL(of(id, "/bundle")),
    /** Where the pictures of a fork's grid are, side by side. */
    sheetUrl: (/** @type {string} */ id) => api.apiURL(of(id, "/sheet")),
    /** A URL that the server gave, as the page has to ask for it. */
    url: (/** @type {string} */ url) => api.apiURL(url),
  };
}

/** @typedef {ReturnType<typeof createClient>} Client */

/**
 * Turn what the server sends into actions.
 * @param {Api} api
 * @param {(action: Action) => void} dispatch
 * @param {() => void} reconnected after the connection was lost and is back
 * @param {() => number} clock milliseconds
 * @returns {() => void} stops it
 */
export function listen(api, dispatch, reconnected, clock) {
  /** @type {[string, (event: any) => void][]} */
  const listeners = [
    ["midrun.job", ({ detail }) => dispatch({ type: "job", job: detail, at: clock() })],
    ["midrun.preview", ({ detail }) => dispatch({ type: "preview", preview: detail })],
    ["midrun.queue", ({ detail }) => dispatch({ type: "several", paused: detail.paused })],
    ["reconnecting", () => dispatch({ type: "offline", offline: true })],
    ["reconnected", () => reconnected()],
  ];
  for (const [type, listener] of listeners) api.addEventListener(type, listener);
  return () => {
    for (const [type, listener] of listeners) api.removeEventListener(type, listener);
  };
}
