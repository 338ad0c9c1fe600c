"""Edits on a real server: they apply from the evaluation they were made at, and from no other."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import graphs
from harness import Comfy
from resuming import latent
from test_control import expected, kinds, pause_at, start

SAMPLERS = ("euler", "dpmpp_2m", "dpmpp_2m_sde", "heun", "dpm_adaptive", "euler_ancestral_cfg_pp")
# what is edited: (node, input, value), and what that makes of the oracle's switch
EDITS: dict[str, tuple[str, str, Any]] = {
    "cfg": ("sampler", "cfg", 1.5),
    "prompt": ("positive", "seed", 99),
    "LoRA strength": ("lora", "strength_model", 1.0),
    "model patch": ("scale", "strength", 0.7),
    "RescaleCFG": ("rescale", "multiplier", 0.7),
    "ControlNet strength": ("control", "strength", 0.9),
}
SWITCHED = ("lora", "rescale", "scale", "positive", "control")
LORA = "tiny.safetensors"
WIDTH = 64  # of the tiny model where it has attention
TO_Q = "lora_unet_input_blocks_3_1_transformer_blocks_0_attn{}_to_q"


@pytest.fixture(scope="module")
def lora(comfy: Comfy) -> str:
    """A small LoRA file where ComfyUI looks for such."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for number in (1, 2):
        name = TO_Q.format(number)
        tensors[f"{name}.lora_up.weight"] = torch.randn((WIDTH, 4), generator=generator)
        tensors[f"{name}.lora_down.weight"] = torch.randn((4, WIDTH), generator=generator)
    directory = comfy.base / "models" / "loras"
    directory.mkdir(parents=True, exist_ok=True)
    save_file(tensors, directory / LORA)
    return LORA


def workflow(sampler: str, watched: bool = True, **options: Any) -> graphs.Graph:
    """model -> LoRA -> patch -> probe -> sampler <- ControlNet <- positive."""
    graph = graphs.base(sampler, watched=watched, **options)
    lora = {"lora_name": LORA, "strength_model": 0.0}
    graph["lora"] = graphs.node("LoraLoaderModelOnly", model=["model", 0], **lora)
    graph["rescale"] = graphs.node("RescaleCFG", model=["lora", 0], multiplier=0.1)
    graph["scale"] = graphs.node("TestScale", model=["rescale", 0], strength=1.0)
    graph["probe"]["inputs"]["model"] = ["scale", 0]
    graph |= {"net": graphs.node("TestControlNet", seed=3), "hint": graphs.node("TestHint", size=128)}
    links = {"positive": ["positive", 0], "negative": ["negative", 0], "control_net": ["net", 0]}
    span = {"strength": 0.3, "start_percent": 0.0, "end_percent": 1.0}
    graph["control"] = graphs.node("ControlNetApplyAdvanced", image=["hint", 0], **links, **span)
    graph["sampler"]["inputs"]["positive"] = ["control", 0]
    return graph


def edited(graph: graphs.Graph, edit: tuple[str, str, Any]) -> graphs.Graph:
    copied = json.loads(json.dumps(graph))
    copied[edit[0]]["inputs"][edit[1]] = edit[2]
    return copied


def oracle(comfy: Comfy, sampler: str, edit: tuple[str, str, Any], at: int) -> torch.Tensor:
    """The latent of one uninterrupted stock run that switches at its evaluation number `at`."""
    graph = workflow(sampler, watched=False)
    after = edited(graph, edit)
    both = graph | {f"after-{name}": after[name] for name in SWITCHED}
    both["after-control"]["inputs"]["positive"] = ["after-positive", 0]
    both["after-rescale"]["inputs"]["model"] = ["after-lora", 0]
    both["after-scale"]["inputs"]["model"] = ["after-rescale", 0]
    links = {"model": ["scale", 0], "other": ["after-scale", 0], "positive": ["after-control", 0]}
    both["switch"] = graphs.node("TestSwitch", **links, cfg=after["sampler"]["inputs"]["cfg"], at=at, key="")
    both["sampler"]["inputs"]["model"] = ["switch", 0]
    return latent(comfy, comfy.queue(both))


def put(comfy: Comfy, job_id: str, edit: tuple[str, str, Any], query: str = "") -> tuple[int, Any]:
    body = {edit[0]: {edit[1]: edit[2]}}
    return comfy.call("PUT", f"/midrun/jobs/{job_id}/params{query}", body)


def cases() -> list[tuple[str, str, str]]:
    """All with MIDRUN_FULL=1; in an ordinary run a few, of dpm_adaptive, which takes long, one."""
    points = ("first", "half", "last")
    full = [(what, sampler, point) for what in EDITS for sampler in SAMPLERS for point in points]
    if os.environ.get("MIDRUN_FULL"):
        return full
    return [case for case in full[::7] if case[1] != "dpm_adaptive" or case[0] == "RescaleCFG"]


@pytest.mark.parametrize(("what", "sampler", "point"), cases())
def test_an_edit_equals_switching_at_that_evaluation(
    comfy: Comfy, lora: str, what: str, sampler: str, point: str
) -> None:
    key = f"edit-{what}-{sampler}-{point}"
    comfy.wait_ended(comfy.queue(workflow(sampler, watched=False, key=key + "-count")))
    evaluations = comfy.probe(key + "-count")["done"]
    at = {"first": 1, "half": max(2, evaluations // 2), "last": evaluations}[point]
    job_id = comfy.queue(workflow(sampler, key=key, gates=str(at)))
    pause_at(comfy, job_id, key, at)
    status, job = put(comfy, job_id, EDITS[what])
    assert status == 200, job
    node_id, name, value = EDITS[what]
    told = job["modified_params"][node_id][name]
    assert told["to"] == value and told["from_step"] is None
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert job["modified_params"][node_id][name]["from_step"] == job["paused_at_step"]
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle(comfy, sampler, EDITS[what], at))
    if sampler != "dpm_adaptive":  # which needs another number of evaluations for another picture
        assert comfy.probe(key)["done"] == evaluations
    assert job["warnings"] == []


def test_undoing_everything_gives_the_unedited_latent(comfy: Comfy, lora: str) -> None:
    job_id = comfy.queue(workflow("dpmpp_2m_sde", key="undo", gates="3"))
    pause_at(comfy, job_id, "undo", 3)
    put(comfy, job_id, EDITS["cfg"])
    put(comfy, job_id, EDITS["prompt"])
    status, job = comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/sampler/cfg")
    assert status == 200 and set(job["modified_params"]) == {"positive"}
    status, job = comfy.call("DELETE", f"/midrun/jobs/{job_id}/params")
    assert status == 200 and job["modified_params"] == {}
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    plain = comfy.queue(workflow("dpmpp_2m_sde", watched=False))
    assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, plain))
    assert len(job["prompt_ids"]) == 1  # nothing pending: it went on where it was held
    assert [kind for kind in kinds(comfy, job_id) if kind == "edit"] == ["edit"] * 4


def test_undoing_an_applied_edit_is_a_new_edit(comfy: Comfy) -> None:
    job_id = start(comfy, "undo-applied", "3,5")
    pause_at(comfy, job_id, "undo-applied", 3)
    put(comfy, job_id, EDITS["cfg"])
    comfy.verb(job_id, "resume")
    pause_at(comfy, job_id, "undo-applied", 5)
    job = comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/sampler/cfg")[1]
    assert job["modified_params"]["sampler"]["cfg"] == {"from": 1.5, "to": 4.0, "from_step": None}
    shown = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]["sampler"]["inputs"]["cfg"]
    assert (shown["value"], shown["original"], shown["modified"]) == (4.0, 4.0, False)
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert job["modified_params"]["sampler"]["cfg"]["from_step"] == 4
    assert comfy.probe("undo-applied")["done"] == 6
    assert not torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_params_are_what_an_editor_needs(comfy: Comfy, lora: str) -> None:
    graph = workflow("euler", key="params", gates="3")
    graph["scale"]["_meta"] = {"title": "Strength of it"}
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "params", 3)
    nodes = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"]
    assert nodes["scale"]["title"] == "Strength of it"
    assert nodes["sampler"]["title"] == "KSampler (Midrun)"
    cfg = nodes["sampler"]["inputs"]["cfg"]
    assert {name: cfg[name] for name in ("value", "type", "min", "max", "step", "verdict")} == {
        "value": 4.0,
        "type": "FLOAT",
        "min": 0.0,
        "max": 100.0,
        "step": 0.1,
        "verdict": "live",
    }
    assert LORA in nodes["lora"]["inputs"]["lora_name"]["options"]
    verdicts = {
        (node_id, name): told["verdict"]
        for node_id, node in nodes.items()
        for name, told in node["inputs"].items()
    }
    assert verdicts["lora", "strength_model"] == "live"
    assert verdicts["sampler", "seed"] == "consumed" and verdicts["latent", "size"] == "consumed"
    assert verdicts["sampler", "steps"] == "schedule"
    assert verdicts["save", "filename_prefix"] == "downstream"
    assert "model" not in nodes["sampler"]["inputs"]  # a connection
    comfy.verb(job_id, "abort")


@pytest.mark.parametrize(
    ("node_id", "name", "value", "because"),
    [
        ("sampler", "cfg", 101, "maximum"),
        ("sampler", "cfg", "high", "a number"),
        ("sampler", "cfg", float("nan"), "a number"),
        ("sampler", "cfg", ["probe", 0], "not a link"),
        ("sampler", "seed", 7, "used it up when it began. Rewind to it (step 0)"),
        ("latent", "size", 32, "used it up when it began. Rewind to it (step 0)"),
        ("sampler", "model", "x", "connected"),
        ("sampler", "nonsense", 1, "no such input"),
        ("nobody", "cfg", 1, "no such node"),
        ("lora", "lora_name", "gone.safetensors", "not one of its options"),
    ],
)
def test_an_edit_that_cannot_be_made_changes_nothing(
    comfy: Comfy, lora: str, node_id: str, name: str, value: Any, because: str
) -> None:
    key = f"refuse-{node_id}-{name}-{value}"
    job_id = comfy.queue(workflow("euler", key=key, gates="3", queue_policy="hold"))
    pause_at(comfy, job_id, key, 3)
    body = {"positive": {"seed": 77}} | {node_id: {name: value}}
    status, answer = comfy.call("PUT", f"/midrun/jobs/{job_id}/params", json.dumps(body).encode())
    assert (status, answer["error"]["code"]) == (422, "invalid_params")
    (rejected,) = answer["error"]["rejected"]
    assert (rejected["node_id"], rejected["input"]) == (node_id, name) and because in rejected["reason"]
    assert comfy.job(job_id)["modified_params"] == {}
    comfy.verb(job_id, "abort")


@pytest.mark.parametrize("body", [b"[]", b"{", b"{}", b'{"sampler": 5}', b'{"sampler": {}}'])
def test_a_body_that_is_no_edit_is_400(comfy: Comfy, body: bytes) -> None:
    job_id = start(comfy, "bodies")
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params", body)[0] == 400
    assert comfy.call("PUT", f"/midrun/jobs/{job_id}/params?apply=soon", {"sampler": {"cfg": 1}})[0] == 400
    comfy.wait_for(job_id, "completed")


def test_an_edit_of_a_running_job_waits_for_the_next_resume_or_is_applied_at_once(comfy: Comfy) -> None:
    job_id = start(comfy, "running", "2,4", queue_policy="hold")
    comfy.wait_at_gate("running", 2)
    job = put(comfy, job_id, ("sampler", "cfg", 3.0))[1]
    assert (job["state"], job["modified_params"]["sampler"]["cfg"]["from_step"]) == ("running", None)
    comfy.open_gate("running", 2)
    comfy.wait_at_gate("running", 4)
    status, job = put(comfy, job_id, EDITS["cfg"], "?apply=next_step")
    assert status == 200
    job = comfy.wait_for(job_id, "completed")
    assert job["modified_params"]["sampler"]["cfg"] == {"from": 4.0, "to": 1.5, "from_step": 3}
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle_plain(comfy, 1.5, 4))
    assert put(comfy, job_id, EDITS["cfg"])[0] == 409


def test_a_seed_is_edited_before_the_first_step_and_not_taken_back_after_it(comfy: Comfy) -> None:
    job_id = start(comfy, "reseeded", "1,4")
    pause_at(comfy, job_id, "reseeded", 1)
    assert put(comfy, job_id, ("sampler", "seed", 99))[0] == 200
    comfy.verb(job_id, "resume")
    pause_at(comfy, job_id, "reseeded", 4)
    status, answer = comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/sampler/seed")
    assert (status, answer["error"]["rejected"][0]["input"]) == (422, "seed")
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy, seed=99))


def oracle_plain(comfy: Comfy, cfg: float, at: int) -> torch.Tensor:
    graph = graphs.base(watched=False)
    links = {"model": ["model", 0], "other": ["model", 0], "positive": ["positive", 0]}
    graph["switch"] = graphs.node("TestSwitch", **links, cfg=cfg, at=at, key="")
    graph["sampler"]["inputs"]["model"] = ["switch", 0]
    return latent(comfy, comfy.queue(graph))


@pytest.mark.parametrize("number", range(6))
def test_an_edit_that_races_a_resume_is_made_or_stays_pending(comfy: Comfy, number: int) -> None:
    """Policies in turn; the edit and the resume are sent at once, three times each."""
    key, policy = f"race-{number}", ("hold", "park")[number % 2]
    job_id = start(comfy, key, "3", queue_policy=policy)
    pause_at(comfy, job_id, key, 3)
    with ThreadPoolExecutor(6) as pool:
        puts = [pool.submit(put, comfy, job_id, EDITS["cfg"]) for _ in range(3)]
        resumes = [pool.submit(comfy.verb, job_id, "resume") for _ in range(3)]
    assert {told.result()[0] for told in puts} <= {200, 409}
    assert {told.result()[0] for told in resumes} <= {202, 409}
    job = comfy.wait_for(job_id, "completed")
    edit = job["modified_params"].get("sampler", {}).get("cfg", {"from_step": None})
    want = expected(comfy) if edit["from_step"] is None else oracle_plain(comfy, 1.5, 3)
    assert torch.equal(latent(comfy, job["prompt_id"]), want)
    assert edit["from_step"] in (None, 2) and comfy.probe(key)["done"] == 6


def test_a_text_of_a_million_characters_is_an_edit_like_any_other(comfy: Comfy) -> None:
    graph = graphs.base(key="long", gates="3")
    graph["fickle"] = graphs.node("TestFickle", samples=["sampler", 0], key="short")
    graph["save"]["inputs"]["samples"] = ["fickle", 0]
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "long", 3)
    assert put(comfy, job_id, ("fickle", "key", "a long prompt " * 72000))[0] == 200
    assert put(comfy, job_id, ("fickle", "key", "x" * (4 << 20)))[0] == 413
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert len(job["modified_params"]["fickle"]["key"]["to"]) > 10**6
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


PATCHES = {
    "lora": ("LoraLoaderModelOnly", {"lora_name": LORA, "strength_model": 0.2}),
    "rescale": ("RescaleCFG", {"multiplier": 0.3}),
    "scale": ("TestScale", {"strength": 0.9}),
}
EDITABLE = {  # what may be edited at random: values, and the verdict that they have
    ("sampler", "cfg"): ((1.5, 2.5, 7.0), "live"),
    ("positive", "seed"): ((21, 22, 23), "live"),
    ("lora", "strength_model"): ((0.0, 0.7, 1.0), "live"),
    ("rescale", "multiplier"): ((0.0, 0.6, 1.0), "live"),
    ("scale", "strength"): ((0.5, 0.7, 1.1), "live"),
    ("save", "filename_prefix"): (("latents/a", "latents/b"), "downstream"),
    ("more", "filename_prefix"): (("latents/c", "latents/d"), "downstream"),
}


@pytest.mark.parametrize("number", range(8))
def test_of_any_graph_a_live_or_downstream_edit_changes_no_evaluation_before_it(
    comfy: Comfy, lora: str, number: int
) -> None:
    """Model patches in a random order and number, one random edit at a random evaluation."""
    draw, key = random.Random(number), f"any-{number}"
    at, sampler = draw.randint(2, 5), draw.choice(("euler", "heun", "dpmpp_2m_sde"))
    graph, model = graphs.base(sampler, key=key, gates=str(at)), "model"
    for name in draw.sample(sorted(PATCHES), draw.randint(0, len(PATCHES))):
        class_type, given = PATCHES[name]
        graph[name], model = graphs.node(class_type, model=[model, 0], **given), name
    graph["probe"]["inputs"]["model"] = [model, 0]
    if draw.random() < 0.5:
        graph["more"] = graphs.node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/more")
    node_id, name = draw.choice([path for path in EDITABLE if path[0] in graph])
    values, kind = EDITABLE[node_id, name]

    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, key, at)
    shown = comfy.get(f"/midrun/jobs/{job_id}/params")["nodes"][node_id]["inputs"][name]
    assert shown["verdict"] == kind
    place = next((comfy.base / "user" / "__midrun" / "recordings" / job_id).iterdir())
    names = [f"{index:06}.safetensors" for index in range(at - 1)]
    before = {file: (place / file).read_bytes() for file in names}
    assert put(comfy, job_id, (node_id, name, draw.choice(values)))[0] == 200
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    assert {file: (place / file).read_bytes() for file in names} == before
    assert comfy.probe(key)["done"] == job["evaluations"]  # none was computed twice
    if kind == "downstream":
        plain = json.loads(json.dumps(graph))
        plain["probe"]["inputs"] |= {"key": key + "-plain", "gates": ""}
        assert torch.equal(latent(comfy, job["prompt_id"]), latent(comfy, comfy.queue(plain)))


def test_a_whole_graph_can_take_the_place_of_the_job_s(comfy: Comfy) -> None:
    graph = graphs.base(key="graph", gates="4")
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, "graph", 4)
    put(comfy, job_id, ("sampler", "cfg", 9.0))  # the graph as it stands says otherwise
    changed = edited(graph, EDITS["cfg"])
    changed["more"] = graphs.node("SaveLatent", samples=["sampler", 0], filename_prefix="latents/more")
    changed["save"]["inputs"]["filename_prefix"] = "latents/renamed"
    status, job = comfy.verb(job_id, "resume", {"prompt": changed})
    assert status == 202, job
    job = comfy.wait_for(job_id, "completed")
    assert set(job["modified_params"]) == {"sampler", "save"}
    assert torch.equal(latent(comfy, job["prompt_id"]), oracle_plain(comfy, 1.5, 4))
    assert comfy.output(job["prompt_id"], "more").is_file()


@pytest.mark.parametrize(
    "what", ["seed", "gone", "other class", "no graph", "broken link", "too deep", "no node at all"]
)
def test_a_graph_that_cannot_go_on_is_refused_and_nothing_is_lost(comfy: Comfy, what: str) -> None:
    graph = graphs.base(key=f"graph-{what}", gates="4")
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, f"graph-{what}", 4)
    changed: Any = edited(graph, ("sampler", "seed", 8) if what == "seed" else EDITS["cfg"])
    if what == "gone":
        changed["elsewhere"] = changed.pop("sampler")
        changed["save"]["inputs"]["samples"] = ["elsewhere", 0]
    elif what == "other class":
        changed["sampler"]["class_type"] = "KSampler"
    elif what == "no graph":
        changed = {"1": 5}
    elif what == "too deep":
        value: Any = "end"
        for _ in range(600):
            value = [value]
        changed["deep"] = graphs.node("TestFickle", samples=["latent", 0], key=value)
    elif what == "no node at all":
        changed["odd"] = {"class_type": "Nowhere", "inputs": {}, "_meta": 5}
    elif what == "broken link":
        changed["sampler"]["inputs"]["positive"] = ["nowhere", 0]
    status, answer = comfy.verb(job_id, "resume", {"prompt": changed})
    refused = (400, "bad_request") if what == "too deep" else (422, "invalid_params")
    assert (status, answer["error"]["code"]) == refused, answer
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy))


def test_only_what_depends_on_an_edit_is_executed_again(comfy: Comfy, lora: str) -> None:
    job_id = comfy.queue(workflow("euler", key="execute", gates="4"))
    pause_at(comfy, job_id, "execute", 4)
    put(comfy, job_id, EDITS["prompt"])
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    messages = dict(comfy.wait_ended(job["prompt_id"])["status"]["messages"])
    cached = set(messages["execution_cached"]["nodes"])
    assert cached == {"model", "lora", "rescale", "scale", "probe", "negative", "latent", "net", "hint"}


@pytest.mark.parametrize("edit", [("model", "packed", True), ("fickle", "key", "edit-raises")])
def test_an_edit_that_fails_sets_the_job_back_and_can_be_undone(comfy: Comfy, edit: Any) -> None:
    """In the sampling, with a model of another kind, or in a node before it."""
    key = f"fails-{edit[0]}"
    graph = graphs.base(key=key, gates="4")
    graph["fickle"] = graphs.node("TestFickle", samples=["latent", 0], key="edit-ok")
    graph["sampler"]["inputs"]["latent_image"] = ["fickle", 0]
    graph["extra"] = graphs.node("SaveLatent", samples=["fickle", 0], filename_prefix="latents/extra")
    job_id = comfy.queue(graph)
    pause_at(comfy, job_id, key, 4)
    assert put(comfy, job_id, edit)[0] == 200
    comfy.open_gate("edit-raises", "raises")
    comfy.verb(job_id, "resume")
    job = comfy.until(lambda: (job := comfy.job(job_id))["error"] and job, "the attempt to fail")
    assert (job["state"], job["held"], job["step"], job["evaluations"]) == ("paused", False, 3, 3)
    assert job["modified_params"][edit[0]][edit[1]]["to"] == edit[2]
    comfy.until(lambda: not comfy.get("/queue")["queue_running"], "the worker to be free")
    assert comfy.call("DELETE", f"/midrun/jobs/{job_id}/params/{edit[0]}/{edit[1]}")[0] == 200
    assert comfy.verb(job_id, "resume")[0] == 202
    job = comfy.wait_for(job_id, "completed")
    assert torch.equal(latent(comfy, job["prompt_id"]), expected(comfy)) and comfy.probe(key)["done"] == 6


def test_a_picture_tells_how_it_was_made(comfy: Comfy) -> None:
    job_id = comfy.queue(
        graphs.base(key="metadata", gates="4"), extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}}
    )
    pause_at(comfy, job_id, "metadata", 4)
    put(comfy, job_id, EDITS["cfg"])
    comfy.verb(job_id, "resume")
    job = comfy.wait_for(job_id, "completed")
    with safe_open(comfy.output(job["prompt_id"]), "pt") as file:
        metadata = {name: json.loads(value) for name, value in file.metadata().items()}
    assert metadata["prompt"]["sampler"]["inputs"]["cfg"] == 1.5
    assert metadata["workflow"] == {"id": "w"}
    told = {"from_step": 3, "in_node": "sampler", "chosen": False}
    edits = {"sampler": {"cfg": [{"from": 4.0, "to": 1.5} | told]}}
    assert metadata["midrun"] == {"job_id": job_id, "edits": edits}


def test_three_edits_with_a_crash_between_them_equal_the_oracle(tmp_path: Path) -> None:
    server = Comfy(tmp_path).start()
    try:
        job_id = server.queue(graphs.base("dpmpp_2m_sde", key="three", pause_at_step=2))
        server.wait_for(job_id, "paused")
        put(server, job_id, ("sampler", "cfg", 2.0))
        server.verb(job_id, "step")
        server.until(lambda: server.job(job_id)["paused_at_step"] == 3, "the step")
        put(server, job_id, ("sampler", "cfg", 6.0))
        place = tmp_path / "user" / "__midrun" / "recordings" / job_id
        server.until(lambda: len(list(place.glob("*/step-*"))) == 3, "the recording")
        server.kill()
        server.start()
        told = server.job(job_id)["modified_params"]["sampler"]["cfg"]
        assert told == {"from": 2.0, "to": 6.0, "from_step": None}
        server.verb(job_id, "step", {"count": 2})
        server.until(lambda: server.job(job_id)["paused_at_step"] == 5, "two steps")
        put(server, job_id, ("sampler", "cfg", 3.0))
        server.verb(job_id, "resume")
        job = server.wait_for(job_id, "completed")
        graph = graphs.base("dpmpp_2m_sde", watched=False)
        model = "model"
        for number, (at, cfg) in enumerate(((3, 2.0), (4, 6.0), (6, 3.0))):
            links = {"model": [model, 0], "other": ["model", 0], "positive": ["positive", 0]}
            model = f"switch-{number}"
            graph[model] = graphs.node("TestSwitch", **links, cfg=cfg, at=at, key="")
        graph["sampler"]["inputs"]["model"] = [model, 0]
        assert torch.equal(latent(server, job["prompt_id"]), latent(server, server.queue(graph)))
    finally:
        server.stop()
