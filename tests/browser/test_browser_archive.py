"""The registry's archive, unpacked into a ComfyUI that has nothing else. Only with MIDRUN_FULL=1."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

import archive
import graphs
import validate
from browser import FRONTENDS, Screen, frontend_root, needs_chromium, screen
from demo_model.check import Seen, look
from harness import Comfy

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not os.environ.get("MIDRUN_FULL"), reason="It takes minutes; MIDRUN_FULL=1 runs it."),
]
BLUEPRINT = "Text to image (Midrun)"
ONLY_WITH_LOOPS = {"MidrunOnce"}
CONNECT = """() => {
    const graph = app.rootGraph ?? app.graph;
    const host = graph._nodes.find(node => node.subgraph);
    const add = (type, pos) => {
        const node = LiteGraph.createNode(type);
        node.pos = pos;
        graph.add(node);
        return node;
    };
    const demo = add("MidrunDemoModel", [20, 20]), save = add("SaveImage", [900, 20]);
    for (const [slot, name] of ["model", "clip", "vae"].entries())
        demo.connect(slot, host, host.findInputSlot(name));
    host.connect(host.findOutputSlot("IMAGE"), save, 0);
    return String(save.id);
}"""


@pytest.fixture(params=FRONTENDS)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Comfy]:
    server = Comfy(tmp_path / "fresh", packs=(), args=("--front-end-root", str(frontend_root(request.param))))
    with zipfile.ZipFile(archive.write(tmp_path / "midrun.zip")) as packed:
        packed.extractall(server.base / "custom_nodes")
    yield server.start()
    server.stop()


def test_the_archive_installs_and_its_workflow_and_blueprint_run(fresh: Comfy, browser: Browser) -> None:
    told = fresh.get("/object_info")
    ours = {name for name, info in told.items() if info["python_module"] == "custom_nodes.midrun"}
    assert ours - ONLY_WITH_LOOPS == set(graphs.NODES)
    with screen(browser, fresh, "nodes2") as shown:
        example(shown)
        shown.picture(f"archive-{shown.version}-example")
        assert blueprint(shown) == Seen("yellow", "circle", "red")
        shown.picture(f"archive-{shown.version}-blueprint")
    log = fresh.tail(10**6)  # some nodes of ComfyUI's own may lack a package
    assert not re.search(r"IMPORT FAILED.*midrun", log)
    assert "custom_nodes/midrun/" not in "".join(log.split("Traceback")[1:])


def example(shown: Screen) -> None:
    """From the panel, as a newcomer does it: it pauses, goes on and is done."""
    shown.verb("example", shown.open_panel()).click()
    expect(shown.node).to_be_visible()
    job_id = shown.queue()
    assert shown.comfy.wait_for(job_id, "paused")["step"] == 6
    shown.state("paused")
    shown.verb("primary").click()
    shown.comfy.wait_for(job_id, "completed")
    shown.state("completed")


def blueprint(shown: Screen) -> Seen:
    """By the search of nodes; what it draws."""
    shown.command("Comfy.NewBlankWorkflow")
    shown.page.wait_for_function("!(app.rootGraph ?? app.graph)._nodes.length")
    shown.page.mouse.dblclick(800, 500)
    shown.page.keyboard.type(BLUEPRINT, delay=20)
    expect(shown.page.get_by_text(BLUEPRINT).first).to_be_visible()
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_function("(app.rootGraph ?? app.graph)._nodes.some(node => node.subgraph)")
    save = shown.page.evaluate(CONNECT)
    job_id = shown.queue()
    job = shown.comfy.wait_for(job_id, "completed")
    with Image.open(shown.comfy.output(job["prompt_id"], save)) as picture:
        return look(np.asarray(picture.convert("RGB"), np.float32) / 255)


def test_comfy_cli_packs_the_same_files(tmp_path: Path) -> None:
    folder = os.environ.get("MIDRUN_COMFY_CLI")
    if not folder:
        pytest.skip("There is no comfy-cli: `python dev.py test` installs it.")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", archive.ROOT, clone], check=True)
    code, told = validate.comfy(folder, "node", "pack", at=clone)
    assert code == 0, told
    with zipfile.ZipFile(clone / "node.zip") as packed:
        assert sorted(packed.namelist()) == sorted(archive.files())
