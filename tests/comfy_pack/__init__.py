"""A ComfyUI node pack for Midrun's tests: tiny models that go through ComfyUI's real sampling code,
gates that stop an evaluation until it is interrupted, and counters of what really ran.
"""

import importlib.util

from . import assets as assets
from .architectures import NODES as ARCHITECTURE_NODES
from .bench import NODES as BENCH_NODES
from .cleaning import NODES as CLEANING_NODES
from .demo import NODES as DEMO_NODES
from .device import NODES as DEVICE_NODES
from .expanding import NODES as EXPANDING_NODES
from .fickle import NODES as FICKLE_NODES
from .loop_bench import NODES as LOOP_BENCH_NODES
from .loops import NODES as LOOP_NODES
from .models import NODES as MODEL_NODES
from .preview_bench import NODES as PREVIEW_BENCH_NODES
from .previews import NODES as PREVIEW_NODES
from .probes import NODES as PROBE_NODES
from .remembering import NODES as REMEMBERING_NODES
from .stubborn import NODES as STUBBORN_NODES
from .switch import NODES as SWITCH_NODES
from .today import NODES as TODAY_NODES
from .turnstile import NODES as TURNSTILE_NODES
from .unheard import NODES as UNHEARD_NODES

_NODES = (*MODEL_NODES, *PROBE_NODES, *FICKLE_NODES, *SWITCH_NODES, *PREVIEW_NODES, *BENCH_NODES)
_NODES += (
    *PREVIEW_BENCH_NODES,
    *DEMO_NODES,
    *STUBBORN_NODES,
    *TURNSTILE_NODES,
    *CLEANING_NODES,
    *UNHEARD_NODES,
    *EXPANDING_NODES,
    *LOOP_NODES,
    *LOOP_BENCH_NODES,
    *REMEMBERING_NODES,
    *TODAY_NODES,
    *ARCHITECTURE_NODES,
    *DEVICE_NODES,
)
if importlib.util.find_spec("diffusers"):
    from .pipelines import NODES as PIPELINE_NODES

    _NODES += PIPELINE_NODES
NODE_CLASS_MAPPINGS = {node.__name__: node for node in _NODES}
