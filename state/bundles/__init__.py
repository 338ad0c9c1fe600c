"""A job in one file: a BagIt bag (RFC 8493) in a zip that is not compressed. No ComfyUI, no torch.

Written and read on threads that may wait for the disk. What is read comes from anybody: all of it is checked.
"""
