// Drafts: what the board shows of them, and what is asked of the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createActions } from "../../web/server/actions.js";
import { createClient } from "../../web/server/client.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { isDraft, labelOf, newestDrafts, spent, undecidedOf } from "../../web/model/select_board.js";
import { createStore } from "../../web/ui/store.js";
import { job } from "./jobs.mjs";

const draft = (id, more = {}) =>
  job(id, {
    grid: "g",
    parent: null,
    varied: { 3: { seed: Number(id) } },
    state: "paused",
    breakpoints: [{ id: "draft", kind: "step", value: 2, enabled: true }],
    ...more,
  });

/** A server of three drafts; it answers what is asked for in `answers`, and notes it. */
function page(answers = {}) {
  const jobs = ["1", "2", "3"].map((id) => draft(id));
  const asked = [];
  const api = {
    clientId: "page",
    apiURL: (route) => route,
    async fetchApi(route, { method, body }) {
      asked.push([`${method} ${route}`, body ? JSON.parse(body) : null]);
      const known = { "GET /midrun/jobs?grid=g": { jobs }, "POST /midrun/drafts": { grid: "g", jobs }, ...answers };
      const answer = known[`${method} ${route}`] ?? { jobs: [] };
      return new Response(JSON.stringify(answer), { status: answer.error ? 400 : 200 });
    },
  };
  const store = createStore(reduce, initial);
  const ports = {
    t: (key) => key,
    clock: () => 1,
    setting: () => undefined,
    canvas: async () => ({ prompt: { 3: {} }, automatic: new Set(), workflow: { id: "w" } }),
    workflowId: () => "w",
    showPanel() {},
    insertExample() {},
  };
  return { asked, store, get: store.get, actions: createActions(createClient(api), store, ports) };
}

test("a draft is labelled by what it has of its own, and a fork is none", () => {
  assert.equal(labelOf(draft("7")), "seed 7");
  assert.equal(labelOf(job("a", { varied: { 3: { seed: 1, cfg: 2.5 } } })), "seed 1 · cfg 2.5");
  assert.equal(isDraft(draft("7")), true);
  assert.equal(isDraft(draft("7", { parent: { job_id: "p", step: 2 } })), false);
  assert.equal(isDraft(job("a", { grid: null })), false);
});

test("what was computed, and what discarded drafts saved", () => {
  const jobs = [
    draft("1", { step: 20, total_steps: 20, state: "completed" }),
    draft("2", { step: 6, total_steps: 20, state: "aborted" }),
    draft("3", { step: 0, total_steps: null, state: "aborted" }),
    draft("4", { step: 6, total_steps: 20 }),
  ];
  assert.deepEqual(spent(jobs), { computed: 32, saved: 14 + 20 });
  assert.deepEqual(spent([]), { computed: 0, saved: 0 });
});

test("what was told to run to its end, or has ended, is neither discarded nor sent on with all", () => {
  const told = draft("2", { state: "running", breakpoints: [] });
  const jobs = [draft("1"), told, draft("3", { state: "aborted" }), draft("4", { state: "queued" })];
  assert.deepEqual(
    undecidedOf(jobs).map((one) => one.job_id),
    ["1", "4"],
  );
});

test("drafts are made of the canvas, shown in their order, ticked, finished, and the rest discarded", async () => {
  const { asked, store, get, actions } = page();
  actions.askToDraft("3", "seed");
  store.dispatch({ type: "draftForm", count: 3, step: 4 });
  await actions.draftAsAsked();
  assert.deepEqual(asked[0], [
    "POST /midrun/drafts",
    {
      prompt: { 3: {} },
      vary: { 3: { seed: { random: 3 } } },
      step: 4,
      extra_data: { extra_pnginfo: { workflow: { id: "w" } } },
      client_id: "page",
    },
  ]);
  assert.equal(get().draftForm, null);
  assert.deepEqual(get().board.ids, ["1", "2", "3"]);
  assert.deepEqual(newestDrafts(get()), { grid: "g", n: 3 });
  for (const job_id of ["3", "1", "2", "2"]) store.dispatch({ type: "choose", job_id });
  asked.length = 0;
  const rest = actions.discardRest();
  assert.deepEqual(asked[0], ["POST /midrun/jobs/abort", { ids: ["2"], reason: "board.discarded" }]);
  await rest;
  for (const job_id of ["3", "1"]) store.dispatch({ type: "choose", job_id });
  asked.length = 0;
  await actions.goOn(null);
  assert.deepEqual(asked[0], ["POST /midrun/drafts/go_on", { ids: ["1", "3"], step: null }]);
  assert.deepEqual(get().board.ticked, []);
  asked.length = 0;
  await actions.goOn(null);
  assert.deepEqual(asked, [], "nothing is ticked");
  await actions.allTo(9);
  assert.deepEqual(asked[0], ["POST /midrun/drafts/go_on", { ids: ["1", "2", "3"], step: 9 }]);
});

test("what is refused is told where it was asked for", async () => {
  const error = { code: "bad_request", message: "no node that Midrun watches" };
  const { store, get, actions } = page({
    "POST /midrun/drafts": { error },
    "POST /midrun/drafts/go_on": { jobs: [{ job_id: "1", state: "completed", error: { message: "done" } }] },
  });
  actions.askToDraft("3", "seed");
  await actions.draftAsAsked();
  assert.deepEqual([get().draftForm.message, get().draftForm.sent], [error.message, false]);
  await actions.openBoard("g");
  store.dispatch({ type: "choose", job_id: "1" });
  await actions.goOn(5);
  assert.equal(get().board.told, "done");
});
