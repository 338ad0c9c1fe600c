"""What knows ComfyUI. The modules that lie here are the nodes: a schema and one call each.

On ComfyUI's worker thread.
"""
