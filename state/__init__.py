"""What a job is and what can be done with it. No ComfyUI, no aiohttp; torch only where tensors are recorded.

Each room says on which thread it is; imports go down only: services, store, job, recording, pictures,
workflow, breakpoints, and the modules that lie here.
"""
