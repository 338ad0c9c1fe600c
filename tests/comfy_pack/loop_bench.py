"""What Midrun takes of the time of a node with a sampling loop of its own."""

import time

import torch

from .own_time import OwnTime

BLOCKS, LAYERS, MORE = 40, 26, 55  # 1,138 modules, as in Wan's network of 14 billion weights
INSIDE = []  # the network's newest call: when it began, when its layers were through, when it ended
PARTS = {
    "nodes.remembering.session": {
        "look": ("Session.glance", "Session.notices"),
        "keeping": ("Session.answered",),
    },
    "nodes.foreign.trees": {"copies": ("Copies.of", "Copies.wait")},
    "nodes.foreign.generators": {"generators": ("see", "is_same")},
    "nodes.engine.journal": {"journal": ("Journal.note", "Journal.hand_over", "Journal.settle")},
    "state.job.call_side": {
        "job": tuple(f"CallSide.{name}" for name in ("may_stop_at", "begin_evaluation", "end_evaluation")),
    },
}


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(4), requires_grad=False)
        self.width, self.eps = 4, 1e-5

    def forward(self, x):
        return x


class Deep(torch.nn.Module):
    """A network of so many layers that computes nothing, and then waits as for a GPU."""

    def __init__(self, seconds, keeps):
        super().__init__()
        self.blocks = torch.nn.ModuleList(_layers(LAYERS) for _ in range(BLOCKS))
        self.more = _layers(MORE)
        self.seconds, self.keeps = seconds, keeps

    def forward(self, x, timestep):
        INSIDE[:] = [time.perf_counter()]
        for block in self.blocks:
            x = block(x)
        x = self.more(x)
        INSIDE.append(time.perf_counter())
        if self.keeps == "counter":
            self.count = getattr(self, "count", 0) + 1
        if self.keeps == "residual":
            self.residual = x * 0.5
        time.sleep(self.seconds)
        x = x * 0.5
        INSIDE.append(time.perf_counter())
        return x


def _layers(number):
    return torch.nn.Sequential(*(Layer() for _ in range(number)))


class TestDeepModel:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "seconds": ("FLOAT", {"default": 0.02}),
                "keeps": (["nothing", "counter", "residual"],),
                "number": ("INT", {"default": 0, "tooltip": "another one for each prompt"}),
            }
        }

    RETURN_TYPES = ("TEST_DEEP_MODEL",)
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    def load(self, seconds, keeps, number):
        return (Deep(seconds, keeps),)


class TestDeepLoop:
    """Samples a 16x1x64x64 latent. Answers (ui): around, layers: seconds of each call beside the network's
    inside, and of its layers; parts: what each part of Midrun took of a call, by its name, with `clocks`."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "model": ("TEST_DEEP_MODEL",),
                "calls": ("INT", {"default": 100}),
                "clocks": ("BOOLEAN", {"default": False}),
            }
        }

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "measure"
    CATEGORY = "_for_testing"

    def measure(self, model, calls, clocks):
        if not clocks:
            around, layers = _sample(model, calls)
            return {"ui": {"around": around, "layers": layers}}
        with OwnTime(PARTS) as own:
            around, layers = _sample(model, calls, own.evaluated)
        names = {name for one in own.told for name in one}
        parts = {name: [one.get(name, 0.0) for one in own.told] for name in names}
        return {"ui": {"around": around, "layers": layers, "parts": [parts]}}


def _sample(model, calls, told=None):
    x = torch.randn(1, 16, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    around, layers = [], []
    for number in range(calls):
        at = torch.tensor([1.0 - number / calls])
        before = time.perf_counter()
        answer = model(x, timestep=at)
        after = time.perf_counter()
        begins, through, ends = INSIDE
        around.append(begins - before + after - ends)
        layers.append(through - begins)
        x = x - answer / calls
        if told is not None:
            told()
    return around, layers


NODES = (TestDeepModel, TestDeepLoop)
