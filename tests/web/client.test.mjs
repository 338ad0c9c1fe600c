// The client and what users ask for, against a server made of answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createActions } from "../../web/server/actions.js";
import { createClient, listen, Refused } from "../../web/server/client.js";
import { pathKey } from "../../web/model/reducer_editor.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { createStore } from "../../web/ui/store.js";
import { job } from "./jobs.mjs";

/** Answers by "METHOD path" (without the query), each a value or [status, value]; records what was asked. */
function server(answers) {
  const target = new EventTarget();
  const asked = [];
  return {
    asked,
    apiURL: (route) => `/api${route}`,
    addEventListener: target.addEventListener.bind(target),
    removeEventListener: target.removeEventListener.bind(target),
    send: (type, detail) => target.dispatchEvent(Object.assign(new Event(type), { detail })),
    async fetchApi(route, { method, body }) {
      asked.push(`${method} ${route}${body ? ` ${body}` : ""}`);
      const answer = answers[`${method} ${route.split("?")[0]}`];
      if (answer === undefined) throw new TypeError("Failed to fetch");
      const [status, value] = Array.isArray(answer) ? answer : [200, answer];
      return new Response(status === 204 ? null : typeof value === "string" ? value : JSON.stringify(value), {
        status,
      });
    },
  };
}

function page(answers, ports = {}) {
  const api = server(answers);
  const store = createStore(reduce, initial);
  let now = 0;
  const all = {
    t: (key) => key,
    clock: () => (now += 1),
    setting: () => undefined,
    canvas: async () => ({ prompt: {}, automatic: new Set() }),
    workflowId: () => "w",
    showPanel() {},
    insertExample() {},
    ...ports,
  };
  const client = createClient(api);
  return { api, store, client, actions: createActions(client, store, all), get: store.get };
}

test("ids are put into paths, never made of them", async () => {
  const { api, client } = page({});
  await assert.rejects(client.job("../x?y#z/ü"), Refused);
  await assert.rejects(client.undo("a", "1:2", "in put"), Refused);
  assert.deepEqual(api.asked, [
    "GET /midrun/jobs/..%2Fx%3Fy%23z%2F%C3%BC",
    "DELETE /midrun/jobs/a/params/1%3A2/in%20put",
  ]);
});

test("a refusal is told with the job, and the next try clears it", async () => {
  const error = {
    code: "illegal_transition",
    message: "Cannot pause job a: it is completed.",
    state: "completed",
  };
  const { store, actions, get } = page({
    "POST /midrun/jobs/a/pause": [409, { error }],
    "POST /midrun/jobs/a/resume": job("a"),
  });
  store.dispatch({ type: "job", job: job("a"), at: 0 });
  assert.equal(await actions.pause("a"), false);
  assert.equal(get().refusals.a, error.message);
  assert.equal(await actions.resume("a"), true);
  assert.equal(get().refusals.a, undefined);
  assert.deepEqual(get().requests, {});
});

test("a server that is away, or answers nonsense, is told as a sentence", async () => {
  const { store, actions, get } = page({ "POST /midrun/jobs/a/step": [502, "<html>"] });
  store.dispatch({ type: "job", job: job("a"), at: 0 });
  for (const verb of ["pause", "step"]) {
    await actions[verb]("a");
    assert.equal(get().refusals.a, "error.offline");
  }
});

test("a job that the server does not know any more goes", async () => {
  const { store, actions, get } = page({
    "POST /midrun/jobs/a/pause": [404, { error: { code: "unknown_job", message: "?" } }],
  });
  store.dispatch({ type: "job", job: job("a"), at: 0 });
  await actions.pause("a");
  assert.deepEqual(get().order, []);
});

test("asked twice at once is asked once", async () => {
  const { api, store, actions } = page({ "POST /midrun/jobs/a/step": job("a") });
  store.dispatch({ type: "job", job: job("a"), at: 0 });
  await Promise.all([actions.step("a"), actions.step("a")]);
  assert.equal(api.asked.length, 1);
});

test("edits are sent together, refusals stand at their fields, and nothing is resumed then", async () => {
  const input = (value, type) => ({
    value,
    original: value,
    modified: false,
    verdict: "live",
    type,
    options: null,
    min: null,
    max: null,
    step: null,
    multiline: false,
  });
  const nodes = {
    3: { class_type: "K", title: "K", inputs: { cfg: input(8, "FLOAT"), text: input("a", "STRING") } },
  };
  const rejected = [{ node_id: "3", input: "cfg", reason: "it is below its smallest value" }];
  const { api, store, actions, get } = page({
    "GET /midrun/jobs/a/params": { nodes },
    "PUT /midrun/jobs/a/params": [422, { error: { code: "invalid_params", message: "refused", rejected } }],
  });
  store.dispatch({ type: "job", job: job("a"), at: 0 });
  await actions.params("a");
  actions.draft("a", "3", "cfg", "-1");
  actions.draft("a", "3", "text", "b");
  assert.equal(await actions.resumeWithChanges("a"), false);
  assert.deepEqual(api.asked.at(-1), 'PUT /midrun/jobs/a/params?apply=resume {"3":{"cfg":-1,"text":"b"}}');
  assert.equal(get().editors.a.refused[pathKey("3", "cfg")], rejected[0].reason);
  assert.equal(Object.keys(get().editors.a.drafts).length, 2);
});

test("a field that is no value yet is not sent", async () => {
  const nodes = {
    3: {
      class_type: "K",
      title: "K",
      inputs: { cfg: { value: 8, original: 8, type: "FLOAT", options: null } },
    },
  };
  const { api, store, actions, get } = page({ "GET /midrun/jobs/a/params": { nodes } });
  store.dispatch({ type: "job", job: job("a"), at: 0 });
  await actions.params("a");
  actions.draft("a", "3", "cfg", "");
  assert.equal(await actions.save("a"), false);
  assert.equal(api.asked.length, 1);
  assert.equal(get().editors.a.refused[pathKey("3", "cfg")], "editor.noValue");
});

test("events become the model, and after a reconnect everything is read again", async () => {
  const fresh = job("bb", { state: "paused" });
  const { api, store, actions, get } = page({ "GET /midrun/jobs": { jobs: [fresh], next: null } });
  const stop = listen(
    api,
    store.dispatch,
    () => actions.refresh(),
    () => -5,
  );
  api.send("midrun.job", job("a", { state: "completed" }));
  api.send("reconnecting");
  assert.deepEqual([get().order, get().offline], [["a"], true]);
  api.send("reconnected");
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual([get().order, get().offline], [["bb"], false]);
  stop();
  api.send("midrun.job", job("ccc"));
  assert.deepEqual(get().order, ["bb"]);
});

test("jobs of which nothing is heard are asked for together", async () => {
  const [a, bb] = [job("a"), job("bb")];
  const { api, store, actions, get } = page({
    "GET /midrun/jobs": { jobs: [a], next: null },
    "GET /midrun/jobs/bb": { ...bb, state: "completed" },
  });
  for (const one of [a, bb]) store.dispatch({ type: "job", job: one, at: -9999 });
  await actions.poll();
  assert.equal(get().jobs.bb.state, "completed");
  assert.equal(api.asked.length, 2);
});

test("a job that is known as paused goes on, ends or goes on another client's word", async () => {
  const standing = { state: "paused" };
  const [a, bb, ccc] = [job("a", standing), job("bb", standing), job("ccc", standing)];
  const { api, store, actions, get } = page({
    "GET /midrun/jobs": { jobs: [{ ...a, state: "running" }], next: null },
    "GET /midrun/jobs/bb": { ...bb, state: "aborted" },
    "GET /midrun/jobs/ccc": [404, { error: { code: "unknown_job", message: "There is no such job." } }],
  });
  await actions.unfinished();
  assert.deepEqual(api.asked, [], "there are none");
  for (const one of [a, bb, ccc]) store.dispatch({ type: "job", job: one, at: 0 });
  await actions.unfinished();
  assert.equal(api.asked[0], "GET /midrun/jobs?limit=200&state=queued%2Crunning%2Cpausing%2Cpaused");
  assert.deepEqual([get().jobs.a.state, get().jobs.bb.state, get().jobs.ccc], ["running", "aborted", undefined]);
});

test("however many jobs are read or deleted at once, the page changes once", async () => {
  const names = Array.from({ length: 30 }, (_, at) => `job${at}`);
  const standing = names.map((name) => job(name, { state: "paused" }));
  const { store, actions, get } = page({
    "GET /midrun/jobs": { jobs: standing, next: null },
    "POST /midrun/jobs/delete": { jobs: names.map((job_id) => ({ job_id, state: "paused" })) },
    "GET /midrun/queue": { paused: false, interrupted: 0, choices: 0, standing: 0 },
  });
  for (const one of standing) store.dispatch({ type: "job", job: one, at: 0 });
  let changes = 0;
  store.subscribe((model, before) => (changes += Number(model.jobs !== before.jobs)));
  await actions.unfinished();
  assert.equal(changes, 1);
  store.dispatch({ type: "several", selected: names });
  await actions.askSelected("delete");
  assert.deepEqual([get().order.length, get().several.selected], [30, []], "the list was read again");
  assert.equal(changes, 3, "deleted, and read again");
});

test("of the jobs that the list has none is asked for again", async () => {
  const [a, bb] = [job("a"), job("bb", { state: "paused", created_at: "2025" })];
  const { api, store, actions, get } = page({
    "GET /midrun/jobs": { jobs: [a], next: "a" },
    "GET /midrun/jobs/bb": { ...bb, state: "completed" },
  });
  await actions.refresh();
  assert.equal(api.asked.length, 1);
  store.dispatch({ type: "job", job: bb, at: 0 }); // further down the list
  await actions.refresh();
  assert.equal(get().jobs.bb.state, "completed");
});

test("what is measured while what was measured is read is not lost", async () => {
  const measured = [1, 2].map((step) => ({ node_id: "3", step, sigma: step }));
  const { store, actions, get } = page({ "GET /midrun/jobs/a/telemetry": { telemetry: measured } });
  const told = (step, minute) => {
    const telemetry = { step, sigma: step };
    store.dispatch({ type: "job", job: job("a", { step, telemetry, updated_at: `2026-01-01T00:0${minute}:00Z` }), at: 0 });
  };
  told(2, 2);
  await actions.telemetry("a");
  const reading = actions.telemetry("a");
  told(3, 3);
  await reading;
  assert.deepEqual(get().telemetry.a.map((one) => one.step), [1, 2, 3]);
});

test("aborting asks first, with the reasons of earlier aborts, unless the user does not want that", async () => {
  const failures = [{ reason: "bad hands" }, { reason: null }, { reason: "bad hands" }];
  const answers = {
    "GET /midrun/failures": { failures },
    "POST /midrun/jobs/a/abort": job("a", { state: "aborted" }),
  };
  const asking = page(answers);
  asking.store.dispatch({ type: "job", job: job("a"), at: 0 });
  await asking.actions.askToAbort("a");
  assert.deepEqual(asking.get().abort, {
    job_id: "a",
    mode: "stop",
    reason: "",
    reasons: ["bad hands"],
    sent: false,
  });
  await asking.actions.abort("a", "", "finish");
  assert.equal(asking.api.asked.at(-1), 'POST /midrun/jobs/a/abort {"reason":null,"mode":"finish"}');
  assert.equal(asking.get().abort, null);
  const direct = page(answers, { setting: () => false });
  direct.store.dispatch({ type: "job", job: job("a"), at: 0 });
  await direct.actions.askToAbort("a");
  assert.deepEqual(direct.api.asked, ['POST /midrun/jobs/a/abort {"reason":null,"mode":"stop"}']);
});

test("bundles are taken in one after the other, until one is refused", async () => {
  const answers = { "POST /midrun/jobs/import": [201, job("in")], "GET /midrun/usage": {} };
  const { actions, get, api } = page(answers);
  const file = (name) => Object.assign(new Blob(["x"]), { name });
  await actions.importFiles([file("a.midrun"), file("b.midrun")]);
  assert.equal(get().tray.open, "in");
  assert.equal(get().tray.incoming, null);
  assert.equal(api.asked.filter((one) => one.startsWith("POST /midrun/jobs/import")).length, 2);
  answers["POST /midrun/jobs/import"] = [422, { error: { code: "bad_bundle", message: "no bundle" } }];
  await actions.importFiles([file("c.midrun"), file("d.midrun")]);
  assert.deepEqual(get().tray.incoming, { name: "c.midrun", refused: "no bundle" });
  assert.equal(api.asked.filter((one) => one.startsWith("POST /midrun/jobs/import")).length, 3);
});

test("a job of another server is taken over and opened, unless its server lives", async () => {
  const other = { key: "k", job_id: "away", alive: false, host: "h", step: 3, total_steps: 8, workflow: null };
  const answers = {
    "GET /midrun/store": { store: "file:///x", trouble: null, jobs: [other] },
    "POST /midrun/store/k/take": [409, { error: { code: "taken", message: "it lives" } }],
  };
  const { actions, get } = page(answers);
  await actions.others();
  assert.deepEqual(get().tray.others, [other]);
  assert.equal(get().tray.shares, true);
  await actions.take("k");
  assert.equal(get().tray.taken, "it lives");
  answers["POST /midrun/store/k/take"] = [201, job("away")];
  answers["GET /midrun/store"] = { store: "file:///x", trouble: null, jobs: [] };
  await actions.take("k");
  assert.equal(get().tray.open, "away");
  assert.deepEqual([get().tray.others, get().tray.taken], [[], null]);
});

test("several jobs are asked at once, the oldest first, and what is refused is counted", async () => {
  const error = { code: "illegal_transition", message: "Cannot abort job a: it is completed already." };
  const outcomes = { jobs: [{ job_id: "a", state: "completed", error }, { job_id: "b", state: "aborted" }] };
  const { api, store, actions, get } = page({
    "POST /midrun/jobs/abort": outcomes,
    "POST /midrun/jobs/delete": { jobs: [{ job_id: "b", state: null }] },
    "POST /midrun/jobs/pause": [503, { error: { code: "unavailable", message: "not now" } }],
    "GET /midrun/queue": { paused: true, interrupted: 3, choices: 0 },
  });
  store.dispatch({ type: "job", job: job("a", { created_at: "2026-01-01T00:00:00Z" }), at: 0 });
  store.dispatch({ type: "job", job: job("b", { created_at: "2026-01-01T00:00:01Z" }), at: 0 });
  for (const job_id of ["a", "b"]) store.dispatch({ type: "toggle", job_id });
  assert.deepEqual(get().several.selected, ["b", "a"]);
  await actions.askSelected("abort");
  assert.equal(api.asked[0], 'POST /midrun/jobs/abort {"ids":["a","b"]}');
  assert.deepEqual(get().several.told, { n: 1, of: 2, why: error.message });
  assert.deepEqual([get().several.paused, get().several.interrupted], [true, 3]);
  await actions.askSelected("delete");
  assert.deepEqual(get().several.selected, ["a"]);
  assert.equal(get().jobs.b, undefined);
  await actions.pauseAll();
  assert.deepEqual(get().several.told, { n: 0, of: 0, why: "not now" });
  store.dispatch({ type: "toggle", job_id: "a" });
  assert.deepEqual(get().several.selected, []);
  api.asked.length = 0;
  await actions.askSelected("abort");
  assert.deepEqual(api.asked, [], "nothing is selected");
});
