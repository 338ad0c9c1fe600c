// Draws trees of plain objects into the page and patches them in place, so that focus, carets and scroll
// positions stay. Text is only ever text: there is no way to give it markup.

/** @typedef {{ tag: string, props: Record<string, any>, children: Node_[], key?: string }} VNode */
/** @typedef {VNode | string} Node_ */

/** @type {Record<string, any>} */ const NONE = Object.freeze({});
const SVG = "http://www.w3.org/2000/svg";
/** @type {WeakMap<Node, Node_[]>} */ const drawn = new WeakMap();
/** @type {WeakMap<Node, Record<string, any>>} */ const propsOf = new WeakMap();
/** @type {WeakMap<Element, Set<string>>} */ const listening = new WeakMap();

/**
 * @param {string} tag
 * @param {Record<string, any> | null} [props] attributes; `onX` handlers; `key`; `class`; `vars` (CSS variables);
 *   `recycle`: its element may become that of another key, as in a list that is scrolled
 * @param {...any} children nodes, texts, numbers, arrays of them; false, null and undefined draw nothing
 * @returns {VNode}
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: gather(children, []), key: props?.key };
}

/** @param {any[]} children @param {Node_[]} kept */
function gather(children, kept) {
  for (const child of children) {
    if (Array.isArray(child)) gather(child, kept);
    else if (child !== null && child !== undefined && typeof child !== "boolean")
      kept.push(typeof child === "object" ? child : String(child));
  }
  return kept;
}

/**
 * Make the children of `parent` those of `wanted`.
 * @param {Element} parent
 * @param {Node_[]} wanted
 */
export function draw(parent, wanted) {
  const before = drawn.get(parent) ?? [];
  if (before.length === wanted.length && before.every((node, at) => same(node, wanted[at])))
    patchAll(parent, before, wanted);
  else rearrange(parent, before, wanted);
  drawn.set(parent, wanted);
}

/** Nothing came, went or moved, as nearly always. @param {Element} parent @param {Node_[]} before @param {Node_[]} wanted */
function patchAll(parent, before, wanted) {
  let target = parent.firstChild;
  for (let at = 0; target !== null && at < wanted.length; at += 1) {
    const next = target.nextSibling;
    patch(target, before[at], wanted[at]);
    target = next;
  }
}

/** @param {Element} parent @param {Node_[]} before @param {Node_[]} wanted */
function rearrange(parent, before, wanted) {
  const nodes = [...parent.childNodes].slice(0, before.length);
  const { keyed, unkeyed } = byKey(before);
  /** @type {Set<number>} */ const used = new Set();
  const spare = recyclable(parent, nodes, before, wanted);
  const next = wanted.map((node) => {
    const key = keyOf(node);
    const index =
      key === null
        ? unkeyed.get(likeness(node))?.pop()
        : (keyed.get(key) ?? (recycles(node) ? spare.pop() : undefined));
    if (index === undefined || used.has(index) || !alike(before[index], node)) return create(node, parent);
    used.add(index);
    patch(nodes[index], before[index], node);
    return nodes[index];
  });
  nodes.forEach((node, index) => {
    if (used.has(index)) return;
    if (node instanceof HTMLDialogElement) node.close(); // gives the focus back
    /** @type {ChildNode} */ (node).remove();
  });
  let place = parent.firstChild;
  for (const node of next) {
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
}

/** Where each key is, and in order the nodes without one that can stand for each other. @param {Node_[]} nodes */
function byKey(nodes) {
  /** @type {Map<string, number>} */ const keyed = new Map();
  /** @type {Map<string, number[]>} */ const unkeyed = new Map();
  nodes.forEach((node, index) => {
    const key = keyOf(node);
    if (key !== null) return keyed.set(key, index);
    const alikes = unkeyed.get(likeness(node));
    if (alikes) alikes.push(index);
    else unkeyed.set(likeness(node), [index]);
  });
  for (const alikes of unkeyed.values()) alikes.reverse(); // the first is taken from the end
  return { keyed, unkeyed };
}

/** @param {Node_} node */
const recycles = (node) => typeof node === "object" && Boolean(node.props.recycle);

/**
 * Which of the elements are left over and may become others; not the one with the focus, which is about its key.
 * @param {Element} parent @param {ChildNode[]} nodes @param {Node_[]} before @param {Node_[]} wanted
 */
function recyclable(parent, nodes, before, wanted) {
  if (!wanted.some(recycles)) return [];
  const stay = new Set(wanted.map(keyOf));
  const focused = parent.ownerDocument.activeElement;
  return [...before.keys()].filter(
    (at) => recycles(before[at]) && !stay.has(keyOf(before[at])) && !nodes[at].contains(focused),
  );
}

/** @param {Node_} node @returns {string | null} */
function keyOf(node) {
  return typeof node === "object" && node.key !== undefined ? String(node.key) : null;
}

/** @param {Node_} a @param {Node_} b */
const same = (a, b) => keyOf(a) === keyOf(b) && alike(a, b);

/** Nodes of one likeness can become each other; the type of a field cannot change. @param {Node_} node */
const likeness = (node) => (typeof node === "string" ? "" : `${node.tag} ${node.props.type ?? ""}`);

/** Whether they have one likeness. @param {Node_} a @param {Node_} b */
function alike(a, b) {
  if (typeof a === "string" || typeof b === "string") return typeof a === typeof b;
  return a.tag === b.tag && a.props.type === b.props.type;
}

/** @param {Node_} node @param {Element} parent @returns {Node} */
function create(node, parent) {
  const owner = parent.ownerDocument;
  if (typeof node === "string") return owner.createTextNode(node);
  const inSvg = node.tag === "svg" || parent.namespaceURI === SVG;
  const element = inSvg ? owner.createElementNS(SVG, node.tag) : owner.createElement(node.tag);
  patchProps(element, NONE, node.props);
  draw(element, node.children);
  afterChildren(element, node.props);
  node.props.ref?.(element);
  return element;
}

/** @param {Node} target @param {Node_} before @param {Node_} node */
function patch(target, before, node) {
  if (before === node) return;
  if (typeof node === "string") {
    if (target.nodeValue !== node) target.nodeValue = node;
    return;
  }
  const element = /** @type {Element} */ (target);
  patchProps(element, propsOf.get(element) ?? NONE, node.props);
  draw(element, node.children);
  afterChildren(element, node.props);
}

/** @param {any} element @param {Record<string, any>} before @param {Record<string, any>} props */
function patchProps(element, before, props) {
  propsOf.set(element, props);
  // No lists of names and values: so many are looked at in each frame that they would be most of the garbage.
  for (const name in before) if (!(name in props)) setProp(element, name, undefined, before[name]);
  for (const name in props) setProp(element, name, props[name], before[name]);
}

/** @param {any} element @param {string} name @param {any} value @param {any} before */
function setProp(element, name, value, before) {
  if (name === "key" || name === "ref" || name === "recycle" || name === "value" || name === "checked")
    return;
  if (name.startsWith("on")) {
    // One listener for the element's life; what it calls is what was drawn last.
    if (!value || before) return;
    const names = listening.get(element) ?? new Set();
    if (!names.has(name)) {
      listening.set(element, names.add(name));
      element.addEventListener(name.slice(2).toLowerCase(), (/** @type {Event} */ event) =>
        propsOf.get(element)?.[name]?.(event, element),
      );
    }
  } else if (name === "vars") {
    patchVars(element.style, before ?? NONE, value ?? NONE);
  } else if (value === before) {
    return;
  } else if (value === undefined || value === null || value === false) {
    element.removeAttribute(name);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @param {CSSStyleDeclaration} style @param {Record<string, string>} before @param {Record<string, string>} vars */
function patchVars(style, before, vars) {
  for (const name in before) if (!(name in vars)) style.removeProperty(name);
  for (const name in vars) if (before[name] !== vars[name]) style.setProperty(name, vars[name]);
}

/** What depends on the children, such as a select's value. @param {any} element @param {any} props */
function afterChildren(element, props) {
  if ("checked" in props && element.checked !== props.checked) element.checked = props.checked;
  if ("value" in props && !holds(element, props.value)) element.value = String(props.value);
}

/** Whether a field says that: 1.0, on the way to 1.05, is 1. @param {any} element @param {any} value */
function holds(element, value) {
  if (element.value === String(value)) return true;
  return element.type === "number" && element.value !== "" && Number(element.value) === Number(value);
}
