"""Nodes with a sampling loop of their own: watched at the network that they ask, not at ComfyUI's guider.

On ComfyUI's worker thread. The same recording, job and time travel as in `engine`; only the seam is another.
"""
