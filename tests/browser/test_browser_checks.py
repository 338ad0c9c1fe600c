"""Checking a job in the panel."""

from __future__ import annotations

from typing import Any

from browser import Screen, expect, opened, queued, screen
