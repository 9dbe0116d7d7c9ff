"""Makes small model files of every format, sound ones: for the suite `model` and as seeds for fuzzing.

GGUF has a writer of its own here, beside scripts/make-gguf, because that one makes only what engines load: this one can
be wrong in one place.
"""
import collections
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import pickle
import struct
import sys
import types
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
F32, F16, Q8_0, Q4_K = 0, 1, 8, 12
SIZES = {F32: (1, 4), F16: (1, 2), Q8_0: (32, 34), Q4_K: (256, 144)}  # elements and bytes of a block


def make_gguf():
    """scripts/make-gguf as a module."""
    loader = importlib.machinery.SourceFileLoader('make_gguf', str(ROOT / 'scripts/make-gguf'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('make_gguf', loader))
    loader.exec_module(module)
    return module


# --- GGUF -------------------------------------------------------------------------------------------------------------

class Gguf:
    """One GGUF file: keys are (name, encoded value), tensors (name, dims, type[, offset])."""

    def __init__(self, version=3, keys=(), tensors=(), alignment=32):
        self.version, self.alignment = version, alignment
        self.keys, self.tensors = list(keys), list(tensors)

    def length(self, n):
        return struct.pack('<I' if self.version == 1 else '<Q', n)

    def text(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        return self.length(len(data)) + data

    def value(self, value):
        if isinstance(value, bytes):
            return value  # encoded already
        if isinstance(value, bool):
            return struct.pack('<I?', 7, value)
        if isinstance(value, int):
            return struct.pack('<II', 4, value)
        if isinstance(value, float):
            return struct.pack('<If', 6, value)
        if isinstance(value, str):
            return struct.pack('<I', 8) + self.text(value)
        kind = 8 if value and isinstance(value[0], str) else 7 if value and isinstance(value[0], bool) else 4
        body = b''.join(self.value(v)[4:] for v in value)
        return struct.pack('<II', 9, kind) + self.length(len(value)) + body

    def pad(self, data):
        return data + bytes(-len(data) % self.alignment)

    def bytes(self, data=True):
        out = b'GGUF' + struct.pack('<I', self.version) + self.length(len(self.tensors)) + self.length(len(self.keys))
        for name, value in self.keys:
            out += self.text(name) + self.value(value)
        end = 0
        for name, dims, kind, *place in self.tensors:
            elements, size = 1, SIZES.get(kind, (1, 1))
            for n in dims:
                elements *= n
            at = place[0] if place else end
            out += self.text(name) + struct.pack('<I', len(dims)) + b''.join(map(self.length, dims))
            out += struct.pack('<IQ', kind, at)
            end = at + -(-(elements // size[0] * size[1]) // self.alignment) * self.alignment
        return self.pad(out) + (bytes(end) if data else b'')


def shape_keys(arch='llama', layers=4, heads=4, kv_heads=2, width=64, **more):
    keys = {'block_count': layers, 'embedding_length': 256, 'context_length': 8192, 'attention.head_count': heads,
            'attention.head_count_kv': kv_heads, 'attention.key_length': width, 'attention.value_length': width}
    keys |= {name.replace('__', '.'): value for name, value in more.items()}
    return [('general.architecture', arch)] + [(f'{arch}.{name}', value) for name, value in keys.items()]


def small_gguf(version=3, **more):
    return Gguf(version, shape_keys(**more), [('token_embd.weight', (256, 32), Q8_0), ('blk.0.attn_q.weight', (256, 256), Q4_K),
                                              ('blk.0.attn_norm.weight', (256,), F32), ('output.weight', (256, 32), F16)])


def generated(arch, name, **smaller):
    """What scripts/make-gguf writes, but so small that a fuzzer likes it."""
    maker = make_gguf()
    model = types.SimpleNamespace(**(vars(maker.MODELS[name]) | smaller))
    tensors = maker.plan_tensors(model)
    header = maker.encode_header(model, tensors)
    data = header + bytes(maker.aligned(len(header)) - len(header))
    return data + bytes(sum(maker.aligned(t.bytes) for t in tensors))


# --- safetensors ------------------------------------------------------------------------------------------------------

def safetensors(tensors, data=None, metadata=True):
    """tensors: name -> (dtype, shape, bytes)."""
    header, end = {'__metadata__': {'format': 'pt'}} if metadata else {}, 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {'dtype': dtype, 'shape': list(shape), 'data_offsets': [end, end + size]}
        end += size
    return raw_safetensors(json.dumps(header), bytes(end) if data is None else data)


def raw_safetensors(text, data=b''):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack('<Q', len(text)) + text + data


HF_TENSORS = {
    'model.embed_tokens.weight': ('BF16', (64, 32), 64 * 32 * 2),
    'model.layers.0.self_attn.q_proj.weight': ('BF16', (32, 32), 32 * 32 * 2),
    'model.layers.0.mlp.up_proj.weight': ('F8_E4M3', (64, 32), 64 * 32),
    'model.layers.1.input_layernorm.weight': ('F32', (32,), 128),
    'model.norm.weight': ('F32', (32,), 128),
}


# --- PyTorch ----------------------------------------------------------------------------------------------------------

Storage = collections.namedtuple('Storage', 'key kind elements')


class Tensor:
    def __init__(self, storage, shape, first=0, parameter=False):
        self.storage, self.shape, self.first, self.parameter = storage, shape, first, parameter


def fake_torch():
    """Modules under the names that a pickle of PyTorch refers to."""
    torch, utils = types.ModuleType('torch'), types.ModuleType('torch._utils')
    for name in ('FloatStorage', 'HalfStorage', 'BFloat16Storage', 'StrangeStorage'):
        setattr(torch, name, type(name, (), {'__module__': 'torch', '__qualname__': name}))
    for name in ('_rebuild_tensor_v2', '_rebuild_parameter'):
        def function(*_):
            raise AssertionError('this is never called')
        function.__module__, function.__qualname__, function.__name__ = 'torch._utils', name, name
        setattr(utils, name, function)
    torch._utils = utils
    sys.modules.update({'torch': torch, 'torch._utils': utils})
    return torch


class TorchPickler(pickle.Pickler):
    def __init__(self, out, torch, protocol=2):
        super().__init__(out, protocol)
        self.torch = torch

    def persistent_id(self, thing):
        if isinstance(thing, Storage):
            return 'storage', getattr(self.torch, thing.kind), thing.key, 'cpu', thing.elements
        return None

    def reducer_override(self, thing):
        if not isinstance(thing, Tensor):
            return NotImplemented
        if thing.parameter:
            inner = Tensor(thing.storage, thing.shape, thing.first)
            return self.torch._utils._rebuild_parameter, (inner, False, collections.OrderedDict())
        stride = (1,) * len(thing.shape)
        return self.torch._utils._rebuild_tensor_v2, (thing.storage, thing.first, thing.shape, stride, False,
                                                      collections.OrderedDict())


def torch_pickle(state, protocol=2):
    out, torch = io.BytesIO(), fake_torch()
    try:
        TorchPickler(out, torch, protocol).dump(state)
    finally:
        del sys.modules['torch'], sys.modules['torch._utils']
    return out.getvalue()


def torch_zip(pickled, storages, method=zipfile.ZIP_STORED, folder='archive'):
    """storages: key -> bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as archive:
        archive.writestr(f'{folder}/data.pkl', pickled)
        archive.writestr(f'{folder}/byteorder', b'little')
        for key, data in storages.items():
            archive.writestr(f'{folder}/data/{key}', data)
        archive.writestr(f'{folder}/version', b'3\n')
    return out.getvalue()


def torch_state():
    """A state dictionary as torch.save writes it, and its storages: two tensors share one."""
    shared = Storage('0', 'FloatStorage', 256)
    state = collections.OrderedDict([
        ('transformer.wte.weight', Tensor(shared, (16, 8))),
        ('lm_head.weight', Tensor(shared, (16, 8), 128)),
        ('transformer.h.0.attn.c_attn.weight', Tensor(Storage('1', 'BFloat16Storage', 64), (8, 8), parameter=True)),
    ])
    return state, {'0': bytes(1024), '1': bytes(128)}


def small_torch(protocol=2):
    state, storages = torch_state()
    return torch_zip(torch_pickle({'model': state, 'step': 7, 'lr': 0.5}, protocol), storages)


# --- seeds for fuzzing ------------------------------------------------------------------------------------------------

def seeds():
    """(format, name, bytes)"""
    for version in (1, 2, 3):
        yield 'gguf', f'version-{version}', small_gguf(version).bytes()
    yield 'gguf', 'llama', generated('llama', 'tiny-llama', embd=32, ff=32, heads=1, kv_heads=1, head_dim=32, layers=1, vocab=300)
    yield 'gguf', 'vision', generated('clip', 'tiny-gemma3-mmproj', embd=32, ff=32, heads=1, image=28, layers=1, projection=32)
    yield 'gguf', 'gemma3', small_gguf(arch='gemma3', attention__sliding_window=64,
                                       attention__sliding_window_pattern=[True, False] * 2).bytes()
    yield 'safetensors', 'hf', safetensors(HF_TENSORS)
    yield 'safetensors', 'empty', safetensors({})
    for protocol in (2, 4):
        pickled = torch_pickle(torch_state()[0], protocol)
        yield 'torch', f'zip-{protocol}', b'\0' + small_torch(protocol)
        yield 'torch', f'pickle-{protocol}', b'\1' + pickled


def main():
    folder = pathlib.Path(sys.argv[1])
    for kind, name, data in seeds():
        place = folder / f'seeds-{kind}'
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)


if __name__ == '__main__':
    main()
