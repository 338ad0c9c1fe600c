// What every dialog is made of: the modal element with its keys and focus, and its two buttons.
import { h } from "../ui/dom.js";

/**
 * A modal dialog: the browser keeps the focus in it and brings it back. Keys stay in it too.
 * @param {string} name @param {string} label @param {() => void} close @param {Record<string, any>} props @param {any[]} children
 */
export function dialog(name, label, close, props, children) {
  const onCancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    close();
  };
  const onKeydown = (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    props.onKeydown?.(event);
  };
  const ref = (/** @type {HTMLDialogElement} */ element) =>
    queueMicrotask(() => {
      if (!element.isConnected) return;
      element.showModal();
      if ("tabindex" in props) element.focus(); // its keys are its own, not of its first button
    });
  return h(
    "dialog",
    {
      key: name,
      ...props,
      "data-home": "tabindex" in props,
      class: `midrun-dialog midrun-dialog-${name}`,
      "aria-label": label,
      onCancel,
      onClose: (/** @type {Event} */ _, /** @type {Element} */ element) => element.isConnected && close(),
      onKeydown,
      ref,
    },
    children,
  );
}

/** @param {() => void} close @param {string} no @param {string} yes @param {boolean} danger @param {boolean} [ready] */
export function buttons(close, no, yes, danger, ready = true) {
  return h(
    "div",
    { class: "midrun-dialog-buttons" },
    h("button", { type: "button", class: "midrun-button", "data-verb": "cancel", onClick: close }, no),
    h(
      "button",
      {
        type: "submit",
        class: `midrun-button ${danger ? "midrun-danger" : "midrun-primary"}`,
        "data-verb": "confirm",
        "aria-disabled": ready ? undefined : "true",
        autofocus: !danger,
      },
      yes,
    ),
  );
}
