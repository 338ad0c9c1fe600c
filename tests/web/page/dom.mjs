// What web/ui/dom.js promises, in a real browser. Run by tests/browser/test_browser_dom.py.
import { draw, h } from "/web/ui/dom.js";
import { equal, host, same } from "./assert.mjs";

const keys = (parent) => [...parent.children].map((one) => one.dataset.key);
const item = (key, ...children) => h("li", { key, "data-key": key }, ...children);
const drawn = (parent, ...nodes) => (draw(parent, nodes), parent);

export const tests = {
  "text is only ever text"() {
    const parent = drawn(host(), "<b>bold</b>", h("p", null, "<i>", 1, null, false, [["x"]]));
    equal(parent.children.length, 1);
    equal(parent.textContent, "<b>bold</b><i>1x");
    equal(parent.querySelector("b, i"), null);
  },

  "an element stays the same when its text and its attributes change"() {
    const parent = drawn(host(), h("p", { class: "a", title: "x", hidden: true }, "one"));
    const [p] = parent.children;
    drawn(parent, h("p", { class: "b", hidden: false, "aria-label": "y" }, "two"));
    equal(parent.firstChild, p);
    equal(p.outerHTML, '<p class="b" aria-label="y">two</p>');
  },

  "an attribute that is true is there, and false, null and undefined take it away"() {
    const [p] = drawn(host(), h("p", { a: true, b: false, c: null, d: undefined, e: 0 })).children;
    same(
      [...p.attributes].map((one) => `${one.name}=${one.value}`),
      ["a=", "e=0"],
    );
  },

  "a variable of CSS is set, changed, and taken away when it is not wanted any more"() {
    const parent = host();
    const vars = (now) => drawn(parent, h("p", now === null ? null : { vars: now })).firstChild.style;
    same(
      [vars({ "--a": "1", "--b": "2" })].map((one) => one.length),
      [2],
    );
    equal(vars({ "--a": "3" }).getPropertyValue("--a"), "3");
    equal(vars({ "--a": "3" }).getPropertyValue("--b"), "");
    equal(vars(null).length, 0);
    equal(vars({ "--b": "4" }).getPropertyValue("--b"), "4");
  },

  "elements with keys move, come and go, and stay themselves"() {
    const parent = drawn(host(), item("a"), item("b"), item("c"), item("d"));
    const before = new Map([...parent.children].map((one) => [one.dataset.key, one]));
    drawn(parent, item("d"), item("b"), item("x"), item("a"));
    same(keys(parent), ["d", "b", "x", "a"]);
    for (const one of parent.children)
      if (one.dataset.key !== "x") equal(one, before.get(one.dataset.key), one.dataset.key);
    equal(before.get("c").isConnected, false);
  },

  "every order of five comes from every other"() {
    const orders = (left) =>
      left.length
        ? left.flatMap((one) => orders(left.filter((it) => it !== one)).map((it) => [one, ...it]))
        : [[]];
    const parent = host();
    for (const order of orders(["a", "b", "c", "d", "e"])) {
      drawn(parent, ...order.map((key) => item(key, key)));
      same(keys(parent), order);
    }
  },

  "elements without keys are used again in order, of their own tag and type"() {
    const parent = drawn(
      host(),
      h("p", null, "1"),
      h("b", null),
      h("p", null, "2"),
      h("input", { type: "text" }),
    );
    const [first, bold, second, field] = parent.children;
    drawn(
      parent,
      h("b", null),
      h("p", null, "3"),
      h("p", null, "4"),
      h("input", { type: "range" }),
      h("p", null),
    );
    const now = [...parent.children];
    same([now[0] === bold, now[1] === first, now[2] === second], [true, true, true]);
    equal(now.includes(field), false, "a field does not change its type");
    equal(parent.textContent, "34");
  },

  "to rearrange a thousand elements without keys does not look at each for each"() {
    let looks = 0;
    const many = (tag) =>
      Array.from({ length: 1000 }, () => ({
        ...h(tag),
        get tag() {
          looks += 1;
          return tag;
        },
      }));
    const parent = drawn(host(), ...many("p"));
    drawn(parent, ...many("b"), h("i"));
    equal(parent.children.length, 1001);
    equal(looks < 20_000, true, `${looks} looks`);
  },

  "what has the focus keeps it, with its caret, when others come before it and the rest changes"() {
    const field = h("input", { key: "field", type: "text", value: "hello" });
    const parent = drawn(host(), field);
    const [input] = parent.children;
    input.focus();
    input.setSelectionRange(2, 4);
    drawn(parent, h("p", { key: "p" }, "new"), h("input", { key: "field", type: "text", value: "hello" }));
    equal(document.activeElement, input);
    same([input.selectionStart, input.selectionEnd], [2, 4]);
  },

  "a list that is scrolled stays where it is"() {
    const list = (count) =>
      h(
        "div",
        { style: "height: 50px; overflow: auto" },
        Array.from({ length: count }, (_, at) => h("p", null, `${at}`)),
      );
    const parent = drawn(host(), list(50));
    parent.firstChild.scrollTop = 100;
    drawn(parent, list(60));
    equal(parent.firstChild.scrollTop, 100);
  },

  "a field is not written over by the number that was typed into it"() {
    const parent = drawn(host(), h("input", { type: "number", step: "any", value: 1 }));
    const [input] = parent.children;
    input.value = "1.0"; // on the way to 1.05
    drawn(parent, h("input", { type: "number", step: "any", value: 1 }));
    equal(input.value, "1.0");
    drawn(parent, h("input", { type: "number", step: "any", value: 2 }));
    equal(input.value, "2");
  },

  "a choice is made after its options are there"() {
    const choice = (value, ...options) =>
      h(
        "select",
        { value },
        options.map((one) => h("option", { key: one, value: one }, one)),
      );
    const parent = drawn(host(), choice("b", "a", "b"));
    equal(parent.firstChild.value, "b");
    drawn(parent, choice("c", "a", "c"));
    equal(parent.firstChild.value, "c");
  },

  "a handler is the one that was drawn last, and is called once"() {
    const told = [];
    const parent = host();
    for (const name of ["one", "two"])
      drawn(
        parent,
        h("button", { onClick: (event, element) => told.push([name, event.type, element.tagName]) }),
      );
    parent.firstChild.click();
    same(told, [["two", "click", "BUTTON"]]);
    drawn(parent, h("button", null));
    parent.firstChild.click();
    equal(told.length, 1);
  },

  "SVG is drawn as SVG, with what is in it"() {
    const parent = drawn(host(), h("svg", { viewBox: "0 0 1 1" }, h("path", { d: "M0 0" })));
    equal(parent.querySelector("path").namespaceURI, "http://www.w3.org/2000/svg");
    equal(parent.querySelector("svg").viewBox.baseVal.width, 1);
  },

  "a ref is given its element once, with its children"() {
    const given = [];
    const parent = host();
    const node = () =>
      h("ul", { ref: (element) => given.push(element.children.length) }, item("a"), item("b"));
    drawn(parent, node());
    drawn(parent, node());
    same(given, [2]);
  },

  "an element that may be recycled becomes that of another key, but not while it has the focus"() {
    const row = (key) => h("div", { key, recycle: true, "data-key": key }, h("button", null, key));
    const parent = drawn(host(), row("a"), row("b"), row("c"));
    const [a, b] = parent.children;
    a.firstChild.focus();
    drawn(parent, row("c"), row("d"), row("e"));
    same(keys(parent), ["c", "d", "e"]);
    equal([...parent.children].includes(b), true, "b was used again");
    equal([...parent.children].includes(a), false, "a had the focus");
  },

  "a dialog that is open is closed when it goes, and the focus goes back"() {
    const parent = drawn(host(), h("button", { key: "b" }), h("dialog", { key: "d" }, h("button", null)));
    const [button, dialog] = parent.children;
    button.focus();
    dialog.showModal();
    drawn(parent, h("button", { key: "b" }));
    equal(document.activeElement, button);
    equal(dialog.open, false);
  },
};
