"""A device that is not the CPU, in plain Python: `aside`. It works behind who gives it work, as a GPU does.

Its tensors are ordinary ones inside of a wrapper which says that it is on `aside`. What a GPU cannot, it
refuses: to compute with tensors of two devices. What a GPU does later, it does later: a copy to the host that
nobody waited for holds no numbers yet, and then those that its source held when it was asked for. It counts
what makes a thread wait, and the bytes of the tensors that there are.
"""

import threading
import time
import weakref
from collections import Counter, deque

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_map

NAME = "aside"
HOST = torch.device("cpu")
DRAWS = torch.Tag.nondeterministic_seeded
aten = torch.ops.aten
READS = {  # what Python has to know the answer of
    aten._local_scalar_dense.default: "a number",
    aten.equal.default: "whether two are equal",
    aten.is_nonzero.default: "a truth",
    aten.nonzero.default: "places",
    aten.masked_select.default: "places",
}
OF_PLACES = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}  # these may be on the host
OF_OTHERS = (
    "aten::to.",
    "aten::item",
    "aten::type_as",
    "aten::allclose",
)  # taken apart no more


class Queue:
    """Copies to the host that nobody waited for, in the order in which they were asked for."""

    def __init__(self):
        self._todo, self._lock = deque(), threading.RLock()
        self.given = self.done = 0

    def put(self, work):
        with self._lock:
            self._todo.append(work)
            self.given += 1

    def finish(self, until):
        """Those of which there had been so many."""
        with self._lock:
            while self.done < until:
                self._todo.popleft()()
                self.done += 1


class Generator:
    """As CUDA's: a seed, and how much was drawn."""

    def __init__(self):
        self.seed, self.offset = 0, 0

    def state(self):
        return torch.tensor([self.seed, self.offset], dtype=torch.int64).view(torch.uint8).clone()

    def set_state(self, state):
        self.seed, self.offset = state.view(torch.int64).tolist()

    def draw(self, function):
        """What it answers with the host's generator somewhere that only we know."""
        kept = torch.get_rng_state()
        torch.random.default_generator.manual_seed(self.seed * 1_000_003 + self.offset + 1)
        self.offset += 4
        try:
            return function()
        finally:
            torch.set_rng_state(kept)


queue, generator = Queue(), Generator()
WAITS = {}  # name of a thread -> Counter of what it waited for
_storages = {}  # by their place: how many tensors use each, and its bytes
limit = None  # bytes that fit


def wait(what):
    WAITS.setdefault(threading.current_thread().name, Counter())[what] += 1


class Aside(torch.Tensor):
    """`inner` as if it were on the device."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, inner):
        self.inner = inner
        _count(self)

    def __repr__(self, **_):
        return f"Aside({tuple(self.shape)}, {self.dtype})"

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, **_):
        raise TypeError("can't convert a tensor that is aside to numpy; copy it to the host first")

    __array__ = numpy

    def data_ptr(self):
        return self.inner.data_ptr()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


def _count(tensor):
    storage = tensor.inner.untyped_storage()
    place = storage.data_ptr()
    if place not in _storages and limit is not None and allocated() + storage.nbytes() > limit:
        raise torch.OutOfMemoryError(f"{NAME}: out of memory; {limit - allocated()} bytes are free")
    held = _storages.setdefault(place, [0, storage.nbytes()])
    held[0] += 1
    weakref.finalize(tensor, _let_go, place)


def _let_go(place):
    held = _storages.get(place)
    if held is not None:
        held[0] -= 1
        if not held[0]:
            del _storages[place]


def in_use():
    """(tensors, bytes) of each storage."""
    return [(count, size) for count, size in list(_storages.values())]


def allocated():
    return sum(size for _, size in in_use())


def compute(function, args, kwargs):
    """One operation of torch, on the device."""
    if function is aten._has_compatible_shallow_copy_type.default:
        return type(args[0]) is type(args[1])
    if function.name().startswith(OF_OTHERS):
        return function.decompose(*args, **kwargs)
    if function is aten._to_copy.default:
        return _moved(args[0], kwargs)
    if function is aten.copy_.default:
        return _copied(*args[:2], bool(args[2]) if len(args) > 2 else kwargs.get("non_blocking", False))
    if function in READS:
        wait(READS[function])
    tensors = list(_tensors((args, kwargs)))
    aside = {id(one.inner): one for one in tensors if isinstance(one, Aside)}
    strangers = [one for one in tensors if not isinstance(one, Aside) and one.dim()]
    if strangers and aside and function not in OF_PLACES:
        raise RuntimeError(f"{function}: expected all tensors to be on the same device, aside and cpu")
    wanted = kwargs.get("device")
    stays = wanted is None or torch.device(wanted).type == NAME
    given = {key: HOST if key == "device" and value is not None else value for key, value in kwargs.items()}

    def work():
        return function(*tree_map(_inner, args), **tree_map(_inner, given))

    draws = DRAWS in function.tags and not any(isinstance(one, torch.Generator) for one in kwargs.values())
    answer = generator.draw(work) if draws else work()

    def outer(one):
        if not isinstance(one, torch.Tensor) or isinstance(one, Aside) or not stays:
            return one
        return aside[id(one)] if id(one) in aside else Aside(one)

    return tree_map(outer, answer)


def _tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _inner(one):
    return one.inner if isinstance(one, Aside) else one


def _moved(tensor, how):
    target = torch.device(how.get("device") or tensor.device).type
    given = {key: value for key, value in how.items() if key not in ("device", "non_blocking", "pin_memory")}
    content = aten._to_copy.default(_inner(tensor), **given)
    if target == NAME:
        return Aside(content)
    return _to_host(torch.empty_like(content), content, how.get("non_blocking"))


def _copied(into, source, non_blocking):
    if isinstance(into, Aside) or not isinstance(source, Aside):
        _inner(into).copy_(_inner(source))
        return into
    return _to_host(into, source.inner.clone(), non_blocking)


def _to_host(into, content, non_blocking):
    into.fill_(float("nan") if into.is_floating_point() else 77)
    queue.put(lambda: into.copy_(content))
    if not non_blocking:
        wait("a copy")
        queue.finish(queue.given)
    return into


class Event:
    """The moment at which it was recorded."""

    def __init__(self, **_):
        self._moment = 0

    def record(self, stream=None):
        self._moment, self._time = queue.given, time.perf_counter()

    def elapsed_time(self, later):
        """In milliseconds. What is given is computed at once, whatever it seems."""
        return 1000 * (later._time - self._time)

    def query(self):
        return queue.done >= self._moment

    def synchronize(self):
        wait("an event")
        queue.finish(self._moment)


class Module(backend_registration._DummyBackendModule):
    """`torch.aside`."""

    Event = Event

    def current_stream(self, device=None):
        return None

    def synchronize(self, device=None):
        wait("everything")
        queue.finish(queue.given)

    def memory_allocated(self, device=None):
        return allocated()

    def get_rng_state(self, device=None):
        return generator.state()

    def set_rng_state(self, state, device=None):
        generator.set_state(state)

    def manual_seed(self, seed):
        generator.seed, generator.offset = int(seed) % 2**63, 0

    manual_seed_all = manual_seed

    def get_amp_supported_dtype(self):
        return []


class HostGenerator(torch.Generator):
    """One for the device draws on the host, where nobody can tell."""

    def __new__(cls, device="cpu"):
        device = torch.device(device)
        return super().__new__(cls, HOST if device.type == NAME else device)


def be_there():
    """From here on there is such a device in this process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, Module())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda function, *args, **kwargs: compute(function, args, kwargs), "PrivateUse1")
    torch.Generator = HostGenerator
    torch.tensor, torch.as_tensor = _made_on_the_host(torch.tensor), _made_on_the_host(torch.as_tensor)
    return library


def _made_on_the_host(make):
    """torch fills what it makes of Python's numbers through its address."""

    def made(data, *args, device=None, **kwargs):
        if device is not None and torch.device(device).type == NAME:
            numbers = tree_map(lambda one: one.item() if isinstance(one, Aside) else one, data)
            return make(numbers, *args, **kwargs).to(device)
        return make(data, *args, device=device, **kwargs)

    return made
