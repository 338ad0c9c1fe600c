// The part of the model that the editor of parameters needs, and how it changes. Part of reducer.js.
import { keep, same, without } from "../ui/records.js";
/** @import { Reducers } from "./action_types.js" */
/** @import { Editor, Input, Model, ParamNode, Rejected } from "./types.js" */

/** @type {Editor} */
const emptyEditor = Object.freeze({ nodes: null, drafts: {}, refused: {} });

/** @param {Model} model @param {string} jobId */
export const editorOf = (model, jobId) => model.editors[jobId] ?? emptyEditor;

/** @param {string} nodeId @param {string} input */
export const pathKey = (nodeId, input) => JSON.stringify([nodeId, input]);

/** @satisfies {Partial<Reducers>} */
export const onEditor = {
  params(model, { job_id, nodes }) {
    const editor = editorOf(model, job_id);
    const drafts = keep(editor.drafts, (key, draft) => {
      const [nodeId, input] = JSON.parse(key);
      const known = nodes[nodeId]?.inputs[input];
      return known !== undefined && !same(known.value, draft.value);
    });
    return withEditor(model, job_id, { ...editor, nodes, drafts });
  },

  draft(model, { job_id, node_id, input, raw }) {
    const editor = editorOf(model, job_id);
    const known = editor.nodes?.[node_id]?.inputs[input];
    const key = pathKey(node_id, input);
    if (known === undefined) return model;
    const value = parsed(known, raw);
    const drafts = same(value, known.value)
      ? without(editor.drafts, key)
      : { ...editor.drafts, [key]: { raw, value } };
    return withEditor(model, job_id, { ...editor, drafts, refused: without(editor.refused, key) });
  },

  undraft(model, { job_id, node_id, input }) {
    const editor = editorOf(model, job_id);
    if (node_id === undefined || input === undefined)
      return withEditor(model, job_id, { ...editor, drafts: {}, refused: {} });
    const key = pathKey(node_id, input);
    const drafts = without(editor.drafts, key);
    return withEditor(model, job_id, { ...editor, drafts, refused: without(editor.refused, key) });
  },

  /** What was typed while it was on its way stays unsaved. */
  saved(model, { job_id, drafts: sent }) {
    const editor = editorOf(model, job_id);
    const drafts = keep(editor.drafts, (key, draft) => draft !== sent[key]);
    return withEditor(model, job_id, { ...editor, drafts, refused: {} });
  },

  rejected(model, { job_id, rejected }) {
    const editor = editorOf(model, job_id);
    const reasons = rejected.map((one) => [pathKey(one.node_id, one.input), one.reason]);
    const nodes = editor.nodes && rejected.reduce(withRewind, editor.nodes);
    return withEditor(model, job_id, { ...editor, nodes, refused: Object.fromEntries(reasons) });
  },
};

/** @param {Model} model @param {string} jobId @param {Editor} editor @returns {Model} */
function withEditor(model, jobId, editor) {
  return { ...model, editors: { ...model.editors, [jobId]: editor } };
}

/** A refusal may know of a rewind that was not needed when the parameters were read. @param {Record<string, ParamNode>} nodes @param {Rejected} rejected */
function withRewind(nodes, { node_id, input, rewind }) {
  const node = nodes[node_id];
  if (!rewind || !node?.inputs[input]) return nodes;
  const inputs = { ...node.inputs, [input]: { ...node.inputs[input], rewind } };
  return { ...nodes, [node_id]: { ...node, inputs } };
}

/** What was typed, as a value of the input's type; undefined while it is none. @param {Input} input @param {any} raw */
export function parsed(input, raw) {
  if (input.type === "INT" || input.type === "FLOAT") {
    const number = typeof raw === "string" && raw.trim() !== "" ? Number(raw) : Number.NaN;
    return Number.isFinite(number) ? number : undefined;
  }
  if (input.type === "BOOLEAN") return Boolean(raw);
  if (input.options) return input.options.find((option) => String(option) === String(raw));
  return raw;
}
