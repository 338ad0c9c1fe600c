"""Programs that talk to a running ComfyUI with Midrun over its REST API: `python -m midrun check`.

No part of what ComfyUI loads. Run from the folder of the pack, or with that folder in PYTHONPATH; any
Python does, with nothing but its standard library.
"""
