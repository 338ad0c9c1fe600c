"""Takes out of texts what is nobody else's business: where files lie on this machine. Pure functions."""

from __future__ import annotations

import re
from typing import Any

# At least two names deep, so that "3/4" and "and/or" stay; not within a URL.
PATH = re.compile(r"""(?<![\w:/.\\])(?:[A-Za-z]:[\\/]|\\\\|/)(?:[^\s\\/'"<>|:]+[\\/])+([^\s\\/'"<>|:,;)]*)""")


def without_paths(told: Any) -> Any:
    """The same JSON; of each absolute path in its texts only the last name is left."""
    if isinstance(told, str):
        return PATH.sub(lambda found: f"…/{found[1]}", told)
    if isinstance(told, dict):
        return {key: without_paths(value) for key, value in told.items()}
    if isinstance(told, list):
        return [without_paths(value) for value in told]
    return told
