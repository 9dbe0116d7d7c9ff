"""A real engine: llama.cpp inside node, on one thread, with and without the tap."""
import contextlib
import functools
import importlib.machinery
import importlib.util
import json
import math
import os
import re
import shutil
import statistics

from .measure import MEMTAP, ROOT, in_turns, median, program, rounds, run_under
from .table import number, print_table
from .tools import DRAINED, PLAIN, TAPPED

ABOUT = 'tokens per second and image encoding of llama.cpp, and what its hooks cost'
ENGINE = os.path.join(ROOT, 'tests/engines/llama-node/node_modules/.memtap-complete')
DRIVER = os.path.join(ROOT, 'tests/bench/llama.mjs')
# A model of about 1 GB, in the words of scripts/make-gguf's tables.
LARGE = """
name         arch   mix    layers embd ff    heads kv_heads head_dim vocab  context window rope_base weights title
large-llama  llama  Q4_K   36     2048 5632  32    8        64       32000  4096    -      10000     random  Large-Llama
"""
ROOM = 4 << 30  # bytes of memory that the large one wants
# what it is called, requests and tokens (in full and with --quick), model, vision
CASES = [('tiny text', (10, 200), (10, 100), 'tiny-llama', None),
         ('tiny with picture', (8, 32), (4, 32), 'tiny-gemma3', 'tiny-gemma3-mmproj')]
# recording against paused in one process: of what, requests (in full and with --quick) and tokens, model, vision
PAUSED = [('a token, tiny model', (400, 40), 50, 'tiny-llama', None),
          ('a picture, tiny model', (240, 24), 2, 'tiny-gemma3', 'tiny-gemma3-mmproj'),
          ('a token, 1 GB model', (240, 24), 3, 'large-llama', None)]
# 97.5 % quantiles of t by degrees of freedom; beyond them the normal distribution's
T = [12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
     2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042]


def free_memory():
    with open('/proc/meminfo') as f:
        return int(re.search(r'MemAvailable: +(\d+) kB', f.read())[1]) << 10


def make_models(work, names):
    """By scripts/make-gguf, with one more line in its table."""
    path = os.path.join(ROOT, 'scripts/make-gguf')
    loader = importlib.machinery.SourceFileLoader('make_gguf', path)
    make = importlib.util.module_from_spec(importlib.util.spec_from_loader('make_gguf', loader))
    loader.exec_module(make)
    make.MODELS.update(make.parse_models(LARGE))
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):
        make.make_models(work, names, True)
    make.write_image(os.path.join(work, 'picture.png'), 224, 224, 1)


def ask(tool, work, options, requests, tokens, model, vision):
    """(what run_under returns, [ms of all tokens and their number, for each request], [ms of each picture])."""
    argv = ['node', DRIVER, *options, str(requests), str(tokens), os.path.join(work, model + '.gguf')]
    argv += [os.path.join(work, vision + '.gguf'), os.path.join(work, 'picture.png')] if vision else []
    with open(os.path.join(work, 'log'), 'w+b') as log:
        done = run_under(tool, argv, os.path.join(work, 'trace'), errors=log)
        log.seek(0)
        pictures = [int(ms) for ms in re.findall(rb'image slice encoded in (\d+) ms', log.read())]
    lines = [json.loads(line)['bench'] for line in (done.output if done else '').splitlines() if line.startswith('{"bench"')]
    return done, [(line['ms'], line['tokens']) for line in lines], pictures[1:]


def serve(tool, work, requests, tokens, model, vision):
    """{tokens per second, ms per image}: medians over the requests of a process; None if it died."""
    done, spent, pictures = ask(tool, work, [], requests, tokens, model, vision)
    if not done:
        return None
    found = {'tokens/s': statistics.median(1000 * tokens / ms for ms, tokens in spent), 'cpu s': done.cpu}
    if vision:
        found['image ms'] = statistics.median(pictures)
    return found


def measure(plan):
    count = rounds(plan, 10, 3)
    if not os.path.exists(ENGINE) or not shutil.which('node'):
        print('Left out: no engine; scripts/setup engine installs it.\n')
        return {}
    paused = [case for case in PAUSED if case[3] != 'large-llama' or free_memory() > ROOM]
    print(f'{count} rounds of `node tests/bench/llama.mjs`, one thread, plain, tap, and `memtap run`.'
          f'{"" if len(paused) == len(PAUSED) else " Too little memory for the model of 1 GB."}\n', flush=True)
    work = os.path.join(plan.work, 'llama')
    make_models(work, sorted({model for case in paused for model in case[3:] if model}))
    found = {}
    for name, full, quick, model, vision in CASES:
        requests, tokens = quick if plan.quick else full
        once = functools.partial(serve, work=work, requests=requests, tokens=tokens, model=model, vision=vision)
        turns = in_turns([PLAIN, TAPPED, DRAINED], count, once)
        found[name] = {tool.name: runs for tool, runs in turns.items()}
    tiny = os.path.join(work, 'tiny-llama.gguf')
    figures = {'rounds': count, 'runs': found, 'hooks': measure_hooks(plan, tiny),
               'paused': {case[0]: measure_paused(plan, work, *case[1:]) for case in paused}}
    shutil.rmtree(work)
    return figures


def measure_hooks(plan, file):
    """{call: {tool: ns}}: a call of an engine that does nothing, and of files, with and without the tap."""
    argv = [program('hooks'), '20000' if plan.quick else '200000', file]
    output, found = os.path.join(plan.work, 'hooks'), {}
    turns = in_turns([PLAIN, TAPPED], rounds(plan, 5, 3), lambda tool: run_under(tool, argv, output))
    for tool, runs in turns.items():
        for done in runs or []:
            for line in done.output.splitlines():
                name, ns = line.split()
                found.setdefault(name, {}).setdefault(tool.name, []).append(float(ns))
    return found


def measure_paused(plan, work, requests, tokens, model, vision):
    """Each request of one process with the recording on or paused, in fours: on, paused, paused, on. Two processes differ by
    more than the tap costs, by where their memory happens to lie. {requests, ms: paused, [added ms]}, of a token or, with
    vision, of a picture."""
    options = ['--pause', MEMTAP, os.path.join(work, 'trace')]
    _, spent, pictures = ask(TAPPED, work, options, requests[plan.quick], tokens, model, vision)
    ms = pictures if vision else [ms / tokens for ms, tokens in spent]
    fours = [ms[i:i + 4] for i in range(0, len(ms) - 3, 4)]
    return {'requests': len(ms), 'ms': statistics.median((b + c) / 2 for _, b, c, _ in fours),
            'added': [(a + d - b - c) / 2 for a, b, c, d in fours]} if fours else None


def interval(plain, tapped):
    """Mean difference in percent of plain, round by round, and half its 95 % confidence interval."""
    differences = [100 * (b / a - 1) for a, b in zip(plain, tapped)]
    if len(differences) < 2:
        return None
    t = T[len(differences) - 2] if len(differences) - 2 < len(T) else 1.96
    return statistics.mean(differences), t * statistics.stdev(differences) / math.sqrt(len(differences))


def show_paused(paused):
    rows = []
    for name, found in paused.items():
        if not found:
            rows.append([name, 'died'])
            continue
        added, half = sorted(found['added']), 0.98 * math.sqrt(len(found['added']))
        at = [added[min(max(round(len(added) / 2 - 0.5 + shift), 0), len(added) - 1)] for shift in (0, -half, half)]
        us, percent = [f'{1000 * ms:+.1f}' for ms in at], [f'{100 * ms / found["ms"]:+.2f}' for ms in at]
        rows.append([name, found['requests'], number(found['ms'], 2), us[0], f'{us[1]} to {us[2]}', percent[0],
                     f'{percent[1]} to {percent[2]}'])
    print('Recording against paused within one process, requests in fours; of what is added the median of the fours and its '
          '95 % confidence interval, by ranks.\n')
    print_table(['', 'requests', 'ms, paused', '+ µs, recorded', '95 %', '+ %', '95 %'], rows)


def show(figures):
    rows = []
    for name, runs in figures.get('runs', {}).items():
        if not runs['plain']:
            rows.append([name, '', 'died'])
            continue
        for what in runs['plain'][0]:
            plain, row = [found[what] for found in runs['plain']], [name, what]
            row.append(f'{number(median(plain), 2)}')
            for tool in ('memtap', 'memtap run'):
                tapped = [found[what] for found in runs[tool] or []]
                found = interval(plain, tapped)
                difference = f'{found[0]:+.2f} ± {found[1]:.2f} %' if found else '– (one round)' if tapped else 'died'
                row += [number(median(tapped), 2), difference]
            rows.append(row)
    if not rows:
        return
    print('Medians of the rounds; differences to plain are paired by round: mean and 95 % confidence interval (t).\n')
    print_table(['', 'of', 'plain', 'memtap', 'difference', 'memtap run', 'difference'], rows)
    show_paused(figures['paused'])
    hooks = [f'{name} {number(median(ns["plain"]))} + {number(median(ns["memtap"]) - median(ns["plain"]))} ns'
             for name, ns in figures['hooks'].items() if 'plain' in ns and 'memtap' in ns]
    print('The hooks of engines and files have no switch; a call of each, plain and what the tap adds '
          f'(tests/bench/hooks.c): {"; ".join(hooks)}.\n')
