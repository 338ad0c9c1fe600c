"""A sampling call that is watched: recorded, replayed, held, gone on with.

On ComfyUI's worker thread, and beside it while the model works.
"""
