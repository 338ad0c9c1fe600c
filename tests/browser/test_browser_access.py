"""Every view for everybody: by axe in both palettes, by its names for screen readers, and in each language.

One walk through all views of one page; the tests look at what it found. With MIDRUN_FULL=1 there is a walk
for each frontend and renderer, with all rules in both palettes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from browser import SIZE, Screen, needs_chromium, screen
from harness import ROOT, Comfy
from views import Jobs, jobs_on, views

pytestmark = needs_chromium
FULL = bool(os.environ.get("MIDRUN_FULL"))
AXE = os.environ.get("MIDRUN_AXE", "")
LANGUAGES = sorted(path.name for path in (ROOT / "locales").iterdir() if path.is_dir())
NARROW = ".midrun-panel-root { width: 320px !important; }"
ROOTS = [".midrun-panel-root", ".midrun-widget", "dialog.midrun-dialog[open]"]
CHECK = """async ([roots, rules]) => {
    const open = document.querySelector(roots.at(-1));
    const include = (open ? roots.slice(-1) : roots.slice(0, -1)).filter(one => document.querySelector(one));
    const options = rules === null ? {} : { runOnly: { type: "rule", values: rules } };
    const { violations } = await axe.run({ include: include.map(one => [one]) }, options);
    return violations.flatMap(({ id, nodes }) => nodes.map(
        node => `${id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""
SET = "([name, value]) => app.extensionManager.setting.set(name, value)"
PAINTED = """light => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    const ground = document.querySelector(".midrun-panel-root, .midrun-widget, .midrun-dialog");
    canvas.fillStyle = getComputedStyle(ground).getPropertyValue("--midrun-bg");
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data[0] > 128 === light;
}"""
SPOKEN = """language => [...document.querySelectorAll(".midrun-panel-root, .midrun-widget, .midrun-overlays")]
    .every(one => one.lang === language)"""
# Buttons whose words do not fit into them, or that reach out of what is around them.
CUT = """roots => {
    const ours = "button, a.midrun-button, label.midrun-button";
    const names = ".midrun-open, .midrun-frame, .midrun-tick, .midrun-picture, .midrun-link";
    const open = document.querySelector(roots.at(-1));
    const found = (open ? roots.slice(-1) : roots.slice(0, -1)).flatMap(
        root => [...document.querySelectorAll(root)].flatMap(
            one => [...one.querySelectorAll(ours)].map(button => [one, button])));
    const name = button => `${button.dataset.verb ?? button.className} "${button.textContent}"`;
    const tells = (button, why) => `${name(button)} ${why}`;
    return found.flatMap(([root, button]) => {
        if (!button.checkVisibility({ visibilityProperty: true }) || button.matches(names)) return [];
        const wide = [button, ...button.querySelectorAll("span")].some(
            one => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1);
        if (wide) return [tells(button, "does not fit")];
        const box = button.getBoundingClientRect();
        for (let at = button.parentElement; at && root.contains(at); at = at.parentElement) {
            if (at !== root && getComputedStyle(at).overflowX === "visible") continue;
            const around = at.getBoundingClientRect();
            if (box.left < around.left - 1 || box.right > around.right + 1)
                return [tells(button, `reaches out of ${at.className}`)];
        }
        return [];
    });
}"""


@dataclass
class Walk:
    """What was found, each as `view: what`."""

    violations: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    nameless: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)


def walk(shown: Screen, jobs: Jobs) -> Walk:
    found = Walk()
    if AXE:
        shown.page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    shown.page.evaluate(
        "text => document.head.append(Object.assign(document.createElement('style'), { textContent: text }))",
        NARROW,
    )
    for view in views(shown, jobs):
        found.seen.append(view)
        shown.picture(f"access-{shown.version}-{shown.renderer}-{view.replace(' ', '-')}")
        found.nameless += [f"{view}: {one}" for one in nameless(shown)]
        found.violations += [f"{view}, dark: {one}" for one in violations(shown, None)]
        set_(shown, "Comfy.ColorPalette", "light", PAINTED, True)
        rules = None if FULL else ["color-contrast"]
        found.violations += [f"{view}, light: {one}" for one in violations(shown, rules)]
        set_(shown, "Comfy.ColorPalette", "dark", PAINTED, False)
        for language in [*LANGUAGES, "en"]:
            set_(shown, "Comfy.Locale", language, SPOKEN, language)
            found.cut += [f"{view}, {language}: {one}" for one in cut(shown)]
    return found


def violations(shown: Screen, rules: list[str] | None) -> list[str]:
    return shown.page.evaluate(CHECK, [ROOTS, rules]) if AXE else []


def cut(shown: Screen) -> list[str]:
    """At this size; what is above the page also in a page of 320 pixels."""
    told = shown.page.evaluate(CUT, ROOTS)
    if shown.dialog.count():
        shown.page.set_viewport_size({"width": 320, "height": SIZE["height"]})
        told += [f"{one} in 320 px" for one in shown.page.evaluate(CUT, ROOTS)]
        shown.page.set_viewport_size(SIZE)
    return told


def set_(shown: Screen, name: str, value: str, seen: str, argument: Any) -> None:
    shown.page.evaluate(SET, [name, value])
    shown.page.wait_for_function(seen, arg=argument)


def nameless(shown: Screen) -> list[str]:
    """What a screen reader would call by its role alone."""
    roots = shown.dialog if shown.dialog.count() else shown.page.locator(", ".join(ROOTS[:2]))
    told = "\n".join(one.aria_snapshot() for one in roots.all() if one.is_visible())
    controls = (
        r"button|link|textbox|searchbox|spinbutton|combobox|slider|checkbox|radio|switch|tab|img|application"
    )
    return re.findall(rf"^\s*- (?:{controls})(?: \[[^\]]*\])*:?$", told, re.MULTILINE)


@pytest.fixture(scope="module")
def walked(newest_server: Comfy, browser: Browser) -> Iterator[Walk]:
    newest_server.clear()
    with screen(browser, newest_server, "nodes2") as shown:
        shown.expected = "400"  # of the file that is refused
        yield walk(shown, jobs_on(shown))


@pytest.mark.skipif(not AXE, reason="There is no axe-core: `python dev.py test` fetches it from npm.")
def test_axe_finds_nothing_against_any_view_in_either_palette(walked: Walk) -> None:
    assert len(walked.seen) > 25
    assert walked.violations == []


def test_whatever_can_be_used_has_a_name_for_screen_readers(walked: Walk) -> None:
    assert walked.nameless == []


def test_no_button_is_cut_in_any_language(walked: Walk) -> None:
    assert walked.cut == []
