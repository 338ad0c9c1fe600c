"""Jobs that go on although their server is gone: by the same prompt, or by a store that servers share.

On threads of their own; nothing here waits for the network on ComfyUI's event loop.
"""
