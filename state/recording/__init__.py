"""What sampling calls were given and answered, in memory and on disk. The only room of `state` with torch.

Filled by the worker thread, written by threads of its own, read by any.
"""
