// Jobs for the tests.
import { initial, reduce } from "../../web/model/reducer.js";

export function job(id, changed = {}) {
  return {
    job_id: id,
    prompt_id: id,
    prompt_ids: [id],
    workflow: { id: "w", name: null },
    sampler_nodes: ["3"],
    state: "running",
    held: false,
    pause_reason: null,
    node_id: "3",
    display_node_id: changed.node_id ?? "3",
    iteration: null,
    step: 2,
    total_steps: 10,
    evaluations: 2,
    sigma: 3.2,
    paused_at_step: null,
    modified_params: {},
    modified_in: {},
    abort_reason: null,
    error: null,
    gpu_released: false,
    gpu_free: null,
    wires: null,
    queue_policy: "auto",
    timing: { active_s: 4, paused_s: 0, mean_step_s: 2, eta_s: 16 },
    warnings: [],
    source_url: null,
    preview_url: null,
    take: null,
    parent: null,
    grid: null,
    paused_before: null,
    breakpoints: [],
    created_at: `2026-01-01T00:00:0${id.length}Z`,
    updated_at: "2026-01-01T00:01:00Z",
    ...changed,
  };
}

export const after = (...actions) => actions.reduce(reduce, initial);
