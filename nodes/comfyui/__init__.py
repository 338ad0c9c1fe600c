"""Adapters to parts of ComfyUI: its queue, nodes, executor, devices, latents. Each says its thread."""
