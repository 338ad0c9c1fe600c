// What keys and the pointer do on the timeline and in the viewer, against handlers that no browser calls.
import assert from "node:assert/strict";
import { test } from "node:test";
import { initial, reduce } from "../../web/model/reducer.js";
import { focusOf, isScrubbed } from "../../web/model/select_cursor.js";
import { shapeOf } from "../../web/model/select_shape.js";
import { createStore } from "../../web/ui/store.js";
import { chooseView } from "../../web/views/choose.js";
import { doingsOf, handlersOf } from "../../web/views/timeline_input.js";
import { tracksView } from "../../web/views/timeline_tracks.js";
import { viewerView } from "../../web/views/viewer.js";
import { job } from "./jobs.mjs";

globalThis.HTMLInputElement ??= class {};
globalThis.HTMLSelectElement ??= class {};
globalThis.HTMLButtonElement ??= class {};

const told = (id, more) => ({ type: "job", job: job(id, more), at: 1000 });
const wide = { type: "timeline", shown: true, width: 1200, height: 220 };

/** A page with a timeline after these actions; `did` is what was asked for, each as "verb argument ...". */
function page(...actions) {
  const store = createStore(reduce, initial);
  [wide, ...actions].forEach(store.dispatch);
  const did = [];
  const note = (verb) => (...args) => void did.push([verb, ...args.map(String)].join(" "));
  const asked = new Proxy({}, { get: (_, verb) => note(verb) });
  const tools = { t: (key) => key, url: (url) => url, dispatch: store.dispatch, actions: asked };
  const parts = () => {
    const model = store.get();
    const one = focusOf(model);
    const shape = shapeOf(model, one);
    return { model, one, shape, does: doingsOf(tools, model, one, shape) };
  };
  /** The handlers as they are drawn now. */
  const drawn = () => {
    const { model, one, shape, does } = parts();
    return handlersOf(model, one, shape, does);
  };
  /** The slider with its lines. */
  const slider = () => {
    const { model, one, shape, does } = parts();
    return tracksView(tools, model, one, shape, does).children.find((child) => child.key === "plot");
  };
  return {
    did,
    store,
    tools,
    get: store.get,
    drawn,
    slider,
    key: (key, more) => pressed(drawn().onKeydown, key, more),
  };
}

/** Whether a handler ended the event. */
function pressed(handler, key, more = {}) {
  const ended = [];
  handler({
    key,
    repeat: false,
    target: { matches: () => false },
    preventDefault: () => ended.push("default"),
    stopPropagation: () => ended.push("way"),
    ...more,
  });
  return ended;
}

const held = { repeat: true };

/** A press on the curves. */
const press = [
  { button: 0, clientX: 40, clientY: 215, preventDefault() {} },
  { getBoundingClientRect: () => ({ left: 0, top: 0 }), focus() {}, setPointerCapture() {} },
];

test("a key that is held on the timeline moves on, and does nothing else twice", () => {
  const { key, did, get } = page(told("a", { step: 6 }), told("bb", { parent: { job_id: "a", step: 1 } }));
  for (const one of [" ", "r", "f", "c", "Enter", "0"])
    assert.deepEqual(key(one, held), ["default", "way"], `"${one}" is not the page's`);
  assert.deepEqual(did, []);
  assert.equal(isScrubbed(get()), false);
  key(" ");
  assert.deepEqual(did, ["pauseOrResume bb"]);
  key("ArrowUp");
  for (const step of [5, 4, 3]) {
    key("ArrowLeft", held);
    assert.equal(get().cursor.step, step);
  }
  assert.equal(isScrubbed(get()), true);
});

test("a key that is held in the viewer moves on, and does nothing else twice", () => {
  const { did, store, tools } = page(told("a", { step: 6 }), { type: "view", job_id: "a" });
  const press = (key, more) => {
    const model = store.get();
    // As the dialog hands it on, which has stopped it for the page.
    return pressed(viewerView(tools, model, model.viewer).props.onKeydown, key, more);
  };
  for (const one of [" ", "r", "f"]) assert.deepEqual(press(one, held), ["way", "default", "way"], one);
  press("c", held);
  assert.equal(store.get().viewer.compare, null);
  assert.deepEqual(did, []);
  press(" ");
  assert.deepEqual(did, ["pauseOrResume a"]);
  for (const step of [5, 4]) {
    press("ArrowLeft", held);
    assert.equal(store.get().cursor.step, step);
  }
});

test("a key that is held at a choice picks once, and goes on to no other choice", async () => {
  const choice = { node_id: "9", kind: "image", count: 4, most: 0, otherwise: "all", until: null, paints: false, version: "" };
  const { did, store, tools } = page(told("a", { state: "paused", choice }), { type: "choosing", job_id: "a" });
  const at = async (key, more) => {
    const { onKeydown } = chooseView(tools, store.get(), store.get().choosing).props;
    pressed(onKeydown, key, { target: { matches: () => true }, ...more });
    await new Promise(setImmediate);
    return [store.get().choosing.ticked, did.length];
  };
  assert.deepEqual(await at("2"), [[2], 0]);
  assert.deepEqual(await at("2", held), [[2], 0]);
  assert.deepEqual(await at("Enter", held), [[2], 0]);
  assert.deepEqual(await at("Enter"), [[2], 1]);
});

test("nothing is dragged any more once the focus, the pointer or the job is gone", () => {
  const { key, drawn, get, store } = page(told("a", { step: 6 }), told("bb", { state: "paused" }));
  const drag = (kind) => {
    if (kind === "keys") key("ArrowLeft", held);
    else store.dispatch({ type: "timeline", drag: { kind, x: 0, at: 0 } });
    assert.equal(get().timeline.drag.kind, kind);
  };
  for (const [kind, end] of [
    ["keys", () => drawn().onKeyup()],
    ["keys", () => drawn().onBlur()],
    ["scrub", () => drawn().onPointerup()],
    ["pan", () => drawn().onLostpointercapture()],
    ["scrub", () => store.dispatch({ type: "focus", job_id: "a" })],
    ["scrub", () => store.dispatch({ type: "gone", job_ids: ["a"] })],
    ["keys", () => store.dispatch({ type: "gone", job_ids: ["bb"] })],
  ]) {
    drag(kind);
    end();
    assert.equal(get().timeline.drag, null, kind);
  }
});

test("what is dragged stays with its own: a key that is let go ends no drag of the pointer, a press begins one", () => {
  const { drawn, get, store } = page(told("a", { step: 6 }));
  drawn().onPointerdown(...press);
  drawn().onKeyup();
  drawn().onBlur();
  assert.equal(get().timeline.drag.kind, "scrub", "also of the job that nobody has chosen");
  store.dispatch({ type: "released", key: false });
  assert.equal(get().timeline.drag, null);
});

test("a job without a step is followed, wherever one looks, and has no cursor yet", () => {
  const { key, drawn, slider, get, store } = page(told("a", { step: 0 }));
  const { props, children } = slider();
  assert.deepEqual([props["aria-valuemin"], props["aria-valuenow"], props["aria-valuemax"]], [0, 0, 1]);
  assert.ok(!children.some((one) => one.key === "cursor"));
  for (const look of [() => drawn().onPointerdown(...press), () => key("End"), () => key("Home")]) {
    look();
    assert.equal(get().cursor, null);
  }
  store.dispatch(told("a", { step: 3, updated_at: "2026-01-01T00:02:00Z" }));
  assert.equal(slider().props["aria-valuenow"], 3);
  assert.equal(slider().props["aria-valuemin"], 1);
  assert.ok(slider().children.some((one) => one.key === "cursor"));
});

test("what a rewind to the beginning left over can be looked at, and End leads back to the job", () => {
  const { key, get } = page(told("a", { state: "paused", step: 0, take: { node_id: "3", step: 9 } }));
  for (const step of [1, 2]) {
    key("ArrowRight");
    assert.equal(get().cursor.step, step);
  }
  key("End");
  assert.equal(get().cursor, null);
});

test("a fork is compared with its parent, else with another that comes from where it does", () => {
  const fork = (id, parent, state = "completed") => told(id, { state, step: 6, parent: { job_id: parent, step: 2 } });
  const all = [told("a", { state: "completed", step: 6 }), fork("bb", "a"), fork("ccc", "a"), fork("dddd", "bb")];
  const compared = (id, ...more) => {
    const { key, did } = page(...all, ...more, { type: "focus", job_id: id });
    key("c");
    return did;
  };
  const gone = { type: "gone", job_ids: ["a"] };
  assert.deepEqual(compared("bb"), ["compareWith bb 3 null a"]);
  assert.deepEqual(compared("ccc", gone), ["compareWith ccc 3 null dddd"]);
  assert.deepEqual(compared("bb", gone), ["compareWith bb 3 null dddd"]);
  assert.deepEqual(compared("ccc", gone, { type: "gone", job_ids: ["bb"] }), [], "nothing tells any more where dddd is from");
});
