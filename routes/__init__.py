"""The REST API's handlers, by subject: parse, call, JSON. The table of all routes is server_routes.py.

They know aiohttp and `state`, nothing of ComfyUI.

On ComfyUI's event loop, which they never block.
"""
