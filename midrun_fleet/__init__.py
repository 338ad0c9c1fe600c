"""Many ComfyUI servers with Midrun as one fleet on Ray: a killed worker's jobs go on elsewhere.

Installed apart from the pack, in an environment that has Ray; ComfyUI runs in its own. docs/fleet.md.
"""
