"""The REST API's handlers, by subject: parse, call, JSON. They know aiohttp and `state`, nothing of ComfyUI.

On ComfyUI's event loop, which they never block.
"""
