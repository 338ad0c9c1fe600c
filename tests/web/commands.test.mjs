// Which job a command is about, and what it asks of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCommands } from "../../web/comfyui/commands.js";
import { initial, reduce } from "../../web/model/reducer.js";
import { jobForCommand } from "../../web/model/select_command.js";
import { createActions } from "../../web/server/actions.js";
import { createStore } from "../../web/ui/store.js";
import { button } from "../../web/views/parts.js";
import { after, job } from "./jobs.mjs";

const told = (one) => ({ type: "job", job: one, at: 1000 });
const panel = { type: "tray", shown: true };
const opened = (id) => ({ type: "open", job_id: id });

/** The commands after these actions; `did` is what they asked for, each as "verb job". */
function page(actions, selected = null) {
  const store = createStore(reduce, initial);
  actions.forEach(store.dispatch);
  const did = [];
  const asked = new Proxy({}, { get: (_, verb) => (id) => void did.push(`${verb} ${id}`) });
  const keys = { held: false };
  const nodes = { selected: () => (selected === null ? [] : [selected]), keyIsHeld: () => keys.held };
  const widgets = { jobOf: (id) => ({ job_id: id }) };
  const commands = createCommands(store, asked, nodes, widgets, {}, {}, () => {}, () => {});
  return { did, keys, run: (id) => commands.find((one) => one.id === `Midrun.${id}`).function() };
}

test("a command goes to the selected node's job, then to what is in sight, then to the first state that can", () => {
  const model = after(told(job("a", { state: "paused" })), told(job("bb")), told(job("ccc", { state: "paused" })));
  assert.equal(jobForCommand(model, ["running", "paused"]), "bb");
  assert.equal(jobForCommand(model, ["paused"]), "ccc");
  assert.equal(jobForCommand(model, ["paused"], "a"), "a");
  assert.equal(jobForCommand(model, ["failed"]), null);
  const open = [panel, opened("a")].reduce(reduce, model);
  assert.equal(jobForCommand(open, ["running", "paused"]), "a");
  const both = [{ type: "timeline", shown: true, job_id: "ccc" }].reduce(reduce, open);
  assert.equal(jobForCommand(both, ["running", "paused"]), "ccc", "the timeline's before the panel's");
});

test("a command does not act on a job in a panel that is closed", () => {
  const seen = [told(job("old", { state: "paused" })), told(job("new")), panel, opened("old")];
  const closed = [...seen, { type: "tray", shown: false }];
  const { did, run } = page(closed);
  run("PauseOrResume");
  run("Abort");
  assert.deepEqual(did, ["pauseOrResume new", "askToAbort new"]);
});

test("a key that is held gives its command once, whatever it is", () => {
  const { did, keys, run } = page([told(job("a", { state: "paused" }))]);
  for (const held of [false, true, true]) {
    keys.held = held;
    for (const id of ["PauseOrResume", "Step", "Abort"]) run(id);
  }
  assert.deepEqual(did, ["pauseOrResume a", "step a", "askToAbort a"]);
});

test("what runs is paused, not a failed job that is open resumed; a selected one is", () => {
  const seen = [told(job("old", { state: "failed" })), told(job("new")), panel, opened("old")];
  const [open, selected, alone] = [page(seen), page(seen, "old"), page([seen[0], panel, opened("old")])];
  for (const { run } of [open, selected, alone]) run("PauseOrResume");
  assert.deepEqual([open.did, selected.did, alone.did], [["pauseOrResume new"], ["pauseOrResume old"], ["pauseOrResume old"]]);
});

test("one key pauses a job, lets it go on, or opens the choice that it waits for", async () => {
  const choice = { node_id: "9", kind: "image", count: 4, most: 1, otherwise: "all", until: null, paints: false, version: "" };
  const went = async (state, more = {}) => {
    const store = createStore(reduce, after(told(job("a", { state, ...more }))));
    const did = [];
    const client = new Proxy({}, { get: (_, verb) => (id) => (did.push(`${verb} ${id}`), new Promise(() => {})) });
    void createActions(client, store, { t: (key) => key, clock: () => 1 }).pauseOrResume("a");
    await new Promise(setImmediate);
    return [...did, store.get().choosing?.job_id ?? null];
  };
  assert.deepEqual(await went("running"), ["pause a", null]);
  assert.deepEqual(await went("paused"), ["resume a", null]);
  assert.deepEqual(await went("failed"), ["resume a", null]);
  assert.deepEqual(await went("paused", { choice }), ["a"]);
  assert.deepEqual(await went("completed"), [null]);
});

test("the command Resume leads to a choice, too", () => {
  const { did, run } = page([told(job("a", { state: "paused" }))]);
  run("Resume");
  assert.deepEqual(did, ["pauseOrResume a"]);
});

test("a double click presses Pause once, and other buttons twice; keys press it as often as they do", () => {
  const clicked = (verb, ...details) => {
    let times = 0;
    const { props } = button("label", "pause", true, () => (times += 1), { verb });
    for (const detail of details) props.onClick({ detail, stopPropagation() {} });
    return times;
  };
  assert.equal(clicked("primary", 1, 2), 1);
  assert.equal(clicked("primary", 1, 1), 2);
  assert.equal(clicked("primary", 0, 0), 2);
  assert.equal(clicked("step", 1, 2), 2);
});
