"""The verbs over jobs, recordings and the store: find, control, edit, rewind, fork, compare, guard, recover.

On ComfyUI's event loop, where a module does not say otherwise.
"""
