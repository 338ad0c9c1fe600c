"""What keeps a view from some people: found by axe, by name, by contrast, by what is cut or shut away.

Roots are the parts of the page that are Midrun's; where a dialog is open, only that can be used.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from browser import Screen

AXE = os.environ.get("MIDRUN_AXE", "")
ROOTS = (".midrun-panel-root", ".midrun-timeline-root", ".midrun-widget", "dialog.midrun-dialog[open]")
CONTROLS = "button|link|textbox|searchbox|spinbutton|combobox|slider|checkbox|radio|switch|tab|img|dialog"
OURS = """
const open = document.querySelector(roots.at(-1));
const usable = open ? roots.slice(-1) : roots.slice(0, -1);
const ours = usable.flatMap(root => [...document.querySelectorAll(root)]);
const name = one => `${one.dataset.verb ?? one.className} "${one.textContent || one.ariaLabel}"`;
"""
CHECK = (
    "async ([roots, contrast]) => {"
    + OURS
    + """
    const rules = { "color-contrast": { enabled: contrast } };
    const told = await axe.run({ include: ours }, { preload: false, resultTypes: ["violations"], rules });
    return told.violations.flatMap(({ id, nodes }) => nodes.map(
        node => `${id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""
)
# Buttons whose words do not fit into them, or that reach out of what is around them.
CUT = (
    "roots => {"
    + OURS
    + """
    const names = ".midrun-open, .midrun-lane-name, .midrun-link"; // of jobs, which may be long
    const pictures = ".midrun-frame, .midrun-tick, .midrun-picture";
    const wide = one => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1;
    const why = (root, button) => {
        if ([button, ...button.querySelectorAll("span")].some(wide)) return "does not fit";
        const box = button.getBoundingClientRect();
        for (let at = button.parentElement; at && root.contains(at); at = at.parentElement) {
            if (at !== root && getComputedStyle(at).overflowX === "visible") continue;
            const around = at.getBoundingClientRect();
            const out = box.left < around.left - 1 || box.right > around.right + 1;
            if (out) return `reaches out of ${at.className}`;
        }
        return null;
    };
    return ours.flatMap(root =>
        [...root.querySelectorAll("button, a.midrun-button, label.midrun-button")]
            .filter(one => one.checkVisibility({ visibilityProperty: true }))
            .filter(one => !one.matches(`${names}, ${pictures}`))
            .map(one => [one, why(root, one)]).filter(([, found]) => found)
            .map(([one, found]) => `${name(one)} ${found}`));
}"""
)
# Controls that cannot be brought into sight, or are below something else there.
SHUT = (
    "roots => {"
    + OURS
    + """
    const seen = one => {
        one.scrollIntoView({ block: "center", inline: "center" });
        const box = one.getBoundingClientRect();
        const at = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        return at !== null && (one.contains(at) || at.closest("label")?.contains(one));
    };
    return ours.filter(root => !root.matches(".midrun-widget")).flatMap(root =>
        [...root.querySelectorAll("button, a, input, select, textarea, summary, [tabindex='0']")]
            .filter(one => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
            .filter(one => !one.matches(".midrun-hidden, [aria-hidden], dialog") && !seen(one)).map(name));
}"""
)

# Text -> contrast ratio by WCAG, of what is seen in the panel and on the node, be it drawn by Nodes 2.0 or by
# the canvas; disabled controls are exempt.
CONTRAST = """([roots, onCanvas]) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].map((one, at) => at < 3 ? one : one / 255);
    };
    const over = ([r, g, b, a], ground) => [r, g, b].map((one, at) => one * a + ground[at] * (1 - a));
    const light = colour => {
        const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        const part = colour.map(one => linear(one / 255));
        return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
    };
    const ground = element => {
        const layers = [];
        for (let at = element; at && !(onCanvas && at.matches(".midrun-widget")); at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3]) layers.unshift(colour);
            if (colour[3] === 1) break;
        }
        const node = element.closest(".midrun-widget") ? LiteGraph.NODE_DEFAULT_BGCOLOR : "grey";
        return layers.reduce((below, layer) => over(layer, below), rgba(node).slice(0, 3));
    };
    const found = {};
    for (const element of document.querySelectorAll(roots.map(root => `${root} *`).join())) {
        const texts = [...element.childNodes].filter(one => one.nodeType === 3);
        const text = texts.map(one => one.nodeValue).join("").trim();
        const shut = element.closest("[aria-disabled], :disabled, [readonly], svg");
        if (!text || !element.checkVisibility() || shut) continue;
        const below = ground(element);
        const lights = [light(over(rgba(getComputedStyle(element).color), below)), light(below)];
        const [a, b] = lights.sort((x, y) => y - x);
        found[element.className + ": " + text.slice(0, 40)] = Math.round((a + 0.05) / (b + 0.05) * 10) / 10;
    }
    return found;
}"""


def violations(shown: Screen, contrast: bool) -> list[str]:
    """By axe-core's rules, as many as it has on by default; none without axe-core.

    `contrast`: its rule of that, too, which takes as long as all others; `pale` judges more texts.
    """
    if not AXE:
        return []
    if not shown.page.evaluate("'axe' in window"):
        shown.page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    return shown.page.evaluate(CHECK, [ROOTS, contrast])


def pale(shown: Screen) -> list[str]:
    """Texts that do not stand out from their ground; axe does not judge all of them, as in dialogs."""
    found = [shown.page.evaluate(CONTRAST, [ROOTS, on_canvas]) for on_canvas in (False, True)]
    return [f"{text}: {ratio}" for told in found for text, ratio in told.items() if ratio < 4.5]


def cut(shown: Screen) -> list[str]:
    return shown.page.evaluate(CUT, ROOTS)


def shut(shown: Screen) -> list[str]:
    return shown.page.evaluate(SHUT, ROOTS)


def nameless(shown: Screen) -> list[str]:
    """What a screen reader would call by its role alone."""
    roots = shown.dialog if shown.dialog.count() else shown.page.locator(", ".join(ROOTS[:-1]))
    told = "\n".join(one.aria_snapshot() for one in roots.all() if one.is_visible())
    return re.findall(rf"^\s*- (?:{CONTROLS})(?: \[[^\]]*\])*:?$", told, re.MULTILINE)


def live(shown: Screen) -> list[str]:
    """The texts of live regions, as the accessibility tree of the browser has them."""
    devtools = shown.page.context.new_cdp_session(shown.page)
    nodes = {node["nodeId"]: node for node in devtools.send("Accessibility.getFullAXTree")["nodes"]}
    devtools.detach()

    def text(node: dict) -> str:
        if node.get("role", {}).get("value") == "StaticText":
            return node["name"]["value"]
        return " ".join(text(nodes[child]) for child in node.get("childIds", ()) if child in nodes).strip()

    def is_live(node: dict) -> bool:
        found = [one["value"]["value"] for one in node.get("properties", ()) if one["name"] == "live"]
        return found not in ([], ["off"])

    return [text(node) for node in nodes.values() if is_live(node)]
