#!/usr/bin/env python3
"""Makes a small transformer in PyTorch and puts requests to it, one thread: a small model server for the tests.

    drive.py [--requests N] [--load F.pt|F.safetensors...] [--save F.pt] [--tag] [--keep] [--json FILE]

Every request feeds a prompt and then a few tokens one at a time, its keys and values growing by torch.cat. With --tag
scripts/memtap.py says to memtap what the stacks cannot: which blocks are parameters and which hold keys and values.
"""
import argparse
import json
import os
import sys

import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../scripts'))
import memtap  # noqa: E402

VOCABULARY, WIDTH, HEADS, LAYERS = 8192, 512, 8, 6
PROMPT, TOKENS = 96, 12


class Block(nn.Module):
    """One layer, with its cache of keys and values."""

    def __init__(self):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def attend(self, x, past, cache):
        q, k, v = (part.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        with cache('kv-cache'):
            k = torch.cat([past[0], k], 2) if past else k.contiguous()
            v = torch.cat([past[1], v], 2) if past else v.contiguous()
        weights = torch.softmax(q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5, -1)
        return self.out((weights @ v).transpose(1, 2).reshape(x.shape)), (k, v)

    def forward(self, x, past, cache):
        attended, past = self.attend(self.norm_1(x), past, cache)
        x = x + attended
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm_2(x)))), past


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.output = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens, past, cache):
        x, kept = self.embedding(tokens), []
        for layer, before in zip(self.layers, past or [None] * LAYERS):
            x, now = layer(x, before, cache)
            kept.append(now)
        return self.output(self.norm(x[:, -1])), kept


@torch.no_grad()
def answer(model, number, cache):
    """One request; the cache of keys and values that it made."""
    tokens, past = torch.arange(PROMPT).add(number * 31).remainder(VOCABULARY)[None], None
    for _ in range(TOKENS):
        logits, past = model(tokens, past, cache)
        memtap.mark(f'answering {number}')  # the logits and the token before them live
        tokens = logits.argmax(-1, keepdim=True)
    return past


def read_memory():
    """What the kernel says about this process, in bytes."""
    fields = dict(line.split(':') for line in open('/proc/self/status'))
    return {key: 1024 * int(fields[name].split()[0]) for key, name in
            (('rss_anon', 'RssAnon'), ('rss_file', 'RssFile'), ('swap', 'VmSwap'))}


def count_bytes(past):
    return sum(t.numel() * t.element_size() for pair in past for t in pair)


def drive(options):
    report, kept, past = {'steps': {}}, [], []

    def step(name):
        report['steps'][name] = read_memory()
        memtap.mark(name)

    torch.manual_seed(1)
    step('start')
    model = Model().eval()
    if options.save:
        torch.save(model.state_dict(), options.save)
    if options.load:
        checkpoint = torch.load(options.load)
        step('read')  # the checkpoint and the parameters, side by side
        model.load_state_dict(checkpoint)
        del checkpoint
    if options.tag:
        report['tagged'] = memtap.tag_parameters(model)
    report['parameter_bytes'] = sum(p.numel() * p.element_size() for p in model.parameters())
    step('loaded')
    for number in range(1, options.requests + 1):
        with memtap.request(number, TOKENS):
            past = answer(model, number, memtap.component if options.tag else memtap.nothing)
        if options.keep:
            kept.append(past)
    report['kv_bytes'] = sum(map(count_bytes, kept)) if options.keep else count_bytes(past)
    step('served')
    if options.json:
        json.dump(report, open(options.json, 'w'))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--requests', type=int, default=20)
    parser.add_argument('--load')
    parser.add_argument('--save')
    parser.add_argument('--tag', action='store_true')
    parser.add_argument('--keep', action='store_true', help='leak: keep the cache of every request')
    parser.add_argument('--json')
    torch.set_num_threads(1)
    drive(parser.parse_args())


if __name__ == '__main__':
    main()
