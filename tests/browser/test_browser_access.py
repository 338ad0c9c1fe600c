"""Every view for everybody: by axe, by its names for screen readers, by contrast, and in each language.

One walk through all views of one page; the tests look at what it found. In the suite the first views are
dark, the others light, and one language has the widest texts of all. With MIDRUN_FULL=1 there is a walk for
each frontend and renderer, with both palettes, each language by itself, and 200% zoom in every view.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ViewportSize

import access
from browser import FRONTENDS, RENDERERS, SIZE, Screen, frontend_root, needs_chromium, screen
from harness import ROOT, Comfy
from views import Jobs, jobs_on, views

pytestmark = needs_chromium
FULL = bool(os.environ.get("MIDRUN_FULL"))
MATRIX = [(version, renderer) for version in FRONTENDS for renderer in RENDERERS]
LANGUAGES = sorted(path.name for path in (ROOT / "locales").iterdir() if path.is_dir())
FIRST_LIGHT = "viewer"  # from that view on
ZOOMED: ViewportSize = {"width": SIZE["width"] // 2, "height": SIZE["height"] // 2}  # what 200% leaves
# ComfyUI's own messages pass by themselves; what they lie above for some seconds is not cut off.
NARROW = """.p-toast, [role="region"] > ol { display: none; }
.midrun-panel-root { width: 320px !important; }
.narrow :is(.midrun-dialog, .midrun-form) { width: 320px !important; }"""
STYLE = "text => document.head.append(Object.assign(document.createElement('style'), { textContent: text }))"
PALETTE = "name => app.extensionManager.setting.set('Comfy.ColorPalette', name)"
PAINTED = """light => {
    const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    const ground = document.querySelector(".midrun-panel-root, .midrun-widget, .midrun-dialog");
    pen.fillStyle = getComputedStyle(ground).getPropertyValue("--midrun-bg");
    pen.fillRect(0, 0, 1, 1);
    return pen.getImageData(0, 0, 1, 1).data[0] > 128 === light;
}"""
# As ComfyUI does it, without its reading all of its own texts again.
SPEAK = """language => {
    const settings = app.extensionManager.setting;
    const get = (real, self, [id]) => id === "Comfy.Locale" ? language : real(id);
    settings.get = new Proxy(settings.get, { apply: get });
    app.ui.settings.dispatchEvent(new CustomEvent("Comfy.Locale.change", { detail: { value: language } }));
}"""
SPOKEN = """language => {
    const mounted = ".midrun-panel-root, .midrun-timeline-root, .midrun-widget, .midrun-overlays";
    return [...document.querySelectorAll(mounted)].every(one => one.lang === language);
}"""
# One more language, found by whoever looks it up, with each text from that in which it is widest: where that
# fits, all fit.
WIDEST = """async languages => {
    const all = await (await app.api.fetchApi("/i18n")).json();
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = "12px Inter, system-ui, sans-serif";
    const wider = (a, b) => pen.measureText(b).width > pen.measureText(a).width ? b : a;
    const widest = texts => texts.flatMap(text => text.split(" | ")).reduce(wider);
    const joined = trees => Object.fromEntries(Object.keys(trees[0]).map(key => {
        const parts = trees.map(tree => tree[key]);
        return [key, typeof parts[0] === "string" ? widest(parts) : joined(parts)];
    }));
    const value = { midrun: joined(languages.map(language => all[language].midrun)) };
    Object.defineProperty(Object.prototype, "widest", { value, configurable: true });
}"""


@dataclass
class Walk:
    """What was found, each as `view: what`."""

    seen: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    pale: list[str] = field(default_factory=list)
    nameless: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    shut: list[str] = field(default_factory=list)
    live: list[str] = field(default_factory=list)


def walk(shown: Screen, jobs: Jobs) -> Walk:
    found = Walk()
    shown.page.evaluate(STYLE, NARROW)
    shown.page.evaluate(WIDEST, LANGUAGES)
    for view in views(shown, jobs):
        found.seen.append(view)
        if view == FIRST_LIGHT and not FULL:
            paint(shown, "light")
        if view == "parameters":
            found.live += access.live(shown)
        look(shown, view, found)
    shown.page.evaluate("delete Object.prototype.widest")
    paint(shown, "dark")
    return found


def look(shown: Screen, view: str, found: Walk) -> None:
    found.nameless += told(view, access.nameless(shown))
    found.violations += told(view, access.violations(shown, FULL))
    found.pale += told(view, access.pale(shown))
    if FULL or view == "parameters":
        paint(shown, "light")
        found.pale += told(f"{view}, light", access.pale(shown))
        if FULL:
            shown.picture(f"access-{shown.version}-{shown.renderer}-{view.replace(' ', '-')}")
            found.violations += told(f"{view}, light", access.violations(shown, True))
            found.shut += told(view, zoomed(shown))
        paint(shown, "dark")
    for language in LANGUAGES if FULL else ["widest"]:
        speak(shown, language)
        found.cut += told(f"{view}, {language}", cut(shown))
    speak(shown, "en")


def told(view: str, found: list[str]) -> list[str]:
    return [f"{view}: {one}" for one in found]


def cut(shown: Screen) -> list[str]:
    """In the panel of 320 pixels; what is above the page as it is, and in 320 pixels, too."""
    if not shown.dialog.count():
        return access.cut(shown)
    wide = access.cut(shown)
    shown.page.evaluate("document.documentElement.classList.add('narrow')")
    narrow = access.cut(shown)
    shown.page.evaluate("document.documentElement.classList.remove('narrow')")
    return wide + narrow


def zoomed(shown: Screen) -> list[str]:
    shown.page.set_viewport_size(ZOOMED)
    found = access.shut(shown)
    shown.page.set_viewport_size(SIZE)
    return found


def paint(shown: Screen, palette: str) -> None:
    shown.page.evaluate(PALETTE, palette)
    shown.page.wait_for_function(PAINTED, arg=palette == "light")


def speak(shown: Screen, language: str) -> None:
    shown.page.evaluate(SPEAK, language)
    shown.page.wait_for_function(SPOKEN, arg=language)


@pytest.fixture(scope="module", params=MATRIX if FULL else [(FRONTENDS[-1], "nodes2")], ids=str)
def walked(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walk]:
    version, renderer = request.param
    if not FULL:
        server = request.getfixturevalue("newest_server")
        server.clear()
    else:
        root = ("--front-end-root", str(frontend_root(version)))
        server = Comfy(tmp_path_factory.mktemp("access"), args=root).start()
    with screen(browser, server, renderer) as shown:
        shown.expected = "422"  # of the file that is refused
        jobs = jobs_on(shown)
        found = walk(shown, jobs)
        yield found
    if FULL:
        server.stop()


@pytest.mark.skipif(not access.AXE, reason="There is no axe-core: `python dev.py test` fetches it from npm.")
def test_axe_finds_nothing_against_any_view(walked: Walk) -> None:
    assert len(walked.seen) > 25
    assert not walked.violations, "\n".join(walked.violations)


def test_texts_stand_out_from_their_ground(walked: Walk) -> None:
    assert not walked.pale, "\n".join(walked.pale)


def test_whatever_can_be_used_has_a_name_for_screen_readers(walked: Walk) -> None:
    assert not walked.nameless, "\n".join(walked.nameless)


def test_no_button_is_cut_in_any_language(walked: Walk) -> None:
    assert not walked.cut, "\n".join(walked.cut)


def test_what_happens_to_a_job_is_in_live_regions(walked: Walk) -> None:
    for told in ("Paused", "Paused at step 3: a breakpoint.", "1 unsaved · 1 change pending"):
        assert any(told in one for one in walked.live), (told, walked.live)


@pytest.mark.skipif(not FULL, reason="It is looked at in the full matrix only: MIDRUN_FULL=1.")
def test_everything_can_be_reached_at_twice_the_size(walked: Walk) -> None:
    assert not walked.shut, "\n".join(walked.shut)
