"""memtap.h for Python: what a program can tell memtap about itself.

Copy this file beside your program, or put its folder into PYTHONPATH. Every call does nothing when the program does not
run under the tap. Plain CPython, no package needed.

    import memtap
    with memtap.component('weights'):           # what this thread allocates belongs to the weights
        model = Model()
    memtap.tag_parameters(model)                # PyTorch: each parameter by its own name, whoever allocated it
    with memtap.request(number, units=tokens):  # a unit of work that leaks are judged by
        ...
    memtap.mark('warm')                         # memtap report --at warm

PyTorch allocates weights and activations by the same calls, so no stack tells them apart: without these lines they are
one component.
"""
import contextlib
import ctypes
import re

_library = ctypes.CDLL(None)


def _function(name, *arguments):
    """The tap's function, or one that does nothing."""
    try:
        function = getattr(_library, name)
    except AttributeError:
        return lambda *_: None
    function.argtypes, function.restype = arguments, None
    return function


_push = _function('memtap_push', ctypes.c_char_p)
_pop = _function('memtap_pop')
_tag = _function('memtap_tag', ctypes.c_void_p, ctypes.c_char_p)
_mark = _function('memtap_mark', ctypes.c_char_p, ctypes.c_double)
_begin = _function('memtap_request_begin', ctypes.c_uint64)
_end = _function('memtap_request_end', ctypes.c_uint64, ctypes.c_uint64)

nothing = contextlib.nullcontext


@contextlib.contextmanager
def component(path):
    """What this thread allocates inside belongs to `path`, such as "kv-cache". PyTorch's backward pass has threads of
    its own."""
    _push(path.encode())
    try:
        yield
    finally:
        _pop()


def tag(address, path):
    """The block or mapping that begins at `address` belongs to `path`."""
    _tag(address, path.encode())


def mark(name, value=0.0):
    """Names this instant, for memtap report --at."""
    _mark(name.encode(), value)


@contextlib.contextmanager
def request(number, units=0):
    """A unit of work; `units` is the work it took, 0 if that has no meaning."""
    _begin(number)
    try:
        yield
    finally:
        _end(number, units)


def path_of_parameter(name):
    """"layers.3.mlp.up.weight" -> "weights/layer.3/ffn": layer, and attention, ffn or norm if the name says it."""
    layer = re.search(r'(?:^|\.)(\d+)\.', name)
    parts = (('norm', r'norm|(^|\.)ln'), ('attention', r'att|qkv|[qkvo]_proj|\.out\.'),
             ('ffn', r'mlp|ffn|feed_forward|\b(up|down|gate|fc\d)'))
    part = next((part for part, words in parts if re.search(words, name)), 'other')
    if layer:
        return f'weights/layer.{layer[1]}/{part}'
    if re.search(r'embed|wte', name):
        return 'weights/embedding'
    return 'weights/output' if re.search(r'output|lm_head', name) else f'weights/{part}'


def tag_parameters(module):
    """Tags parameters and buffers of a torch.nn.Module that lie in the CPU's memory, each block once; the bytes of
    these blocks. A parameter that is a view into a larger block, and is not its beginning, is left to the block."""
    seen, total = set(), 0
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        storage = tensor.untyped_storage() if hasattr(tensor, 'untyped_storage') else tensor.storage()
        address = storage.data_ptr()
        if tensor.device.type != 'cpu' or not address or address in seen:
            continue
        seen.add(address)
        tag(address, path_of_parameter(name))
        total += storage.nbytes()
    return total
