"""What the user set in ComfyUI's settings that is Midrun's. Values; what makes no sense is the default."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..breakpoints.breakpoints import DEFAULT, Breakpoints, of_setting
from ..bundles.layout import Limits


@dataclass(frozen=True)
class Webhook:
    """Whom to tell of jobs. private: it may be in the user's own network; picture: it is sent, too"""

    url: str
    private: bool = False
    picture: bool = False


class Settings:
    """Read from ComfyUI's file at each call; of the first user, where there are several."""

    def __init__(self, user_directory: Path) -> None:
        self._file = user_directory / "default" / "comfy.settings.json"

    def read(self) -> dict[str, Any]:
        try:
            settings = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return settings if isinstance(settings, dict) else {}

    def usual_breakpoints(self) -> Breakpoints:
        """Of every new job: a NaN, unless the user switched that off, and what *Pause when* says."""
        settings = self.read()
        usual = () if settings.get("Midrun.PauseOnNaN") is False else DEFAULT
        return (*usual, *of_setting(settings.get("Midrun.PauseWhen")))

    def watches_everything(self) -> bool:
        """Whether every sampler of every prompt is to be watched."""
        return self.read().get("Midrun.WatchEverything") is True

    def resumes_retries(self) -> bool:
        """Whether a prompt that is sent again goes on from what a dead server computed of it."""
        return self.read().get("Midrun.RetryResumes") is not False

    def keeps_history(self) -> bool:
        return keeps_history(self.read())

    def keeps_history_of(self, users: Any, request: Any) -> bool:
        """The same of the user who asks; users: ComfyUI's manager of them"""
        return keeps_history(users.settings.get_settings(request))

    def webhook(self) -> Webhook | None:
        settings = self.read()
        url = settings.get("Midrun.WebhookUrl")
        if not isinstance(url, str) or not url.strip().lower().startswith(("http://", "https://")):
            return None
        ticked = (settings.get(f"Midrun.Webhook{name}") is True for name in ("Private", "Picture"))
        return Webhook(url.strip(), *ticked)

    def of_bundles(self) -> Limits:
        """How large a bundle may be that is imported."""
        size = self.read().get("Midrun.BundleSize")
        if isinstance(size, (int, float)) and not isinstance(size, bool) and 0 < size < 10**6:
            return Limits(bytes=int(size * 1000**3))
        return Limits()


def keeps_history(settings: dict[str, Any]) -> bool:
    """Whether runs that were interrupted stay in ComfyUI's history."""
    return settings.get("Midrun.KeepInterruptedHistory") is True
