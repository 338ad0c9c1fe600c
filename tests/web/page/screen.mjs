// What web/ui/screen.js promises, in a real browser. Run by tests/browser/test_browser_dom.py.
import { h } from "/web/ui/dom.js";
import { createScreen } from "/web/ui/screen.js";
import { createStore } from "/web/ui/store.js";
import { equal, host, same } from "./assert.mjs";

const frame = () => new Promise(requestAnimationFrame);

/** A counter on a screen; `drawn` are the numbers that it showed. */
function counter(view = (n) => [h("p", null, String(n))], ready = () => true) {
  const store = createStore((n, action) => n + action.by, 0);
  const screen = createScreen(store, ready, () => "en");
  const drawn = [];
  const element = host();
  const unmount = screen.mount({ element, view: (n) => (drawn.push(n), view(n, store)) });
  return { store, screen, drawn, element, unmount };
}

export const tests = {
  async "many changes are drawn once, in the next frame"() {
    const { store, drawn, element } = counter();
    for (let at = 0; at < 5; at += 1) store.dispatch({ by: 1 });
    same(drawn, [0]);
    await frame();
    same(drawn, [0, 5]);
    equal(element.textContent, "5");
  },

  async "a change that changes nothing is not drawn"() {
    const { store, drawn } = counter();
    store.dispatch({ by: 0 });
    await frame();
    same(drawn, [0]);
  },

  "what waits is drawn before a handler hears of a click"() {
    const heard = [];
    const { store, element } = counter((n) => [h("button", { onClick: () => heard.push(n) }, String(n))]);
    store.dispatch({ by: 7 });
    element.firstChild.click();
    same(heard, [7]);
  },

  async "a field is not drawn over before what was typed is known"() {
    const field = (n, store) => [
      h("input", { value: n, onInput: (_, one) => store.dispatch({ by: Number(one.value) - n }) }),
    ];
    const { store, element } = counter(field);
    store.dispatch({ by: 1 });
    element.firstChild.value = "42";
    element.firstChild.dispatchEvent(new Event("input"));
    await frame();
    equal(element.firstChild.value, "43"); // 42 more than what it was drawn with, and the 1 that waited
  },

  async "the focus of what is gone goes to what is marked nearest to it"() {
    const view = (n) => [
      h("button", { key: "far", "data-home": true }),
      h(
        "div",
        { key: "near" },
        h("button", { key: "home", "data-home": true }),
        n === 0 && h("button", { key: "gone" }),
      ),
    ];
    const { store, element } = counter(view);
    element.lastChild.lastChild.focus();
    store.dispatch({ by: 1 });
    await frame();
    equal(document.activeElement, element.lastChild.firstChild);
  },

  async "nothing is drawn before there are texts, nor after it was taken away"() {
    let texts = false;
    const { screen, store, element, unmount } = counter(undefined, () => texts);
    equal(element.childNodes.length, 0);
    texts = true;
    screen.refresh();
    await frame();
    equal(element.textContent, "0");
    unmount();
    store.dispatch({ by: 1 });
    await frame();
    equal(element.childNodes.length, 0);
    equal(screen.size, 0);
  },
};
