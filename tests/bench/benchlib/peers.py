"""The same pairs under every peer that is there."""
import functools
import os
import shutil

from .measure import in_turns, median, rounds, spread
from .pairs import run_pairs
from .table import number, print_table
from .tools import PEERS, PLAIN, RECORDED, SAMPLED, TAPPED, present

ABOUT = 'the same pairs, 15 frames, under every other tool that is here'
THREADS = (1, 2)


def measure(plan):
    tools, absent = present([PLAIN, TAPPED, SAMPLED, RECORDED] + PEERS)
    count, pairs = rounds(plan, 5, 3), 20000 if plan.quick else 200000
    print(f'{count} rounds of `pairs 15 THREADS {pairs}`. {absent}\n', flush=True)
    folder = os.path.join(plan.work, 'peers')  # some write more files than they are told
    found = {}
    for threads in THREADS:
        os.makedirs(folder)
        results = in_turns(tools, count, functools.partial(run_pairs, depth=15, threads=threads, pairs=pairs,
                                                           output=os.path.join(folder, 'out')))
        shutil.rmtree(folder)
        found[threads] = {tool.name: [ns for ns, _ in results[tool]] if results[tool] else None for tool in tools}
    return {'rounds': count, 'pairs': pairs, 'bases': {tool.name: tool.base for tool in tools}, 'ns': found}


def show(figures):
    rows = []
    for tool, base in figures['bases'].items():
        row = [tool, base or 'itself']
        for threads in THREADS:
            values, plain = figures['ns'][threads][tool], figures['ns'][threads].get(base)
            if not values:
                row.append('died')
            elif tool == 'plain' or not base:
                row.append(f'{number(median(values))} in all')
            else:
                row.append(f'+{number(median(values) - median(plain))} (+{number(min(values) - min(plain))}, '
                           f'{number(spread(values))} %)' if plain else '–')
        rows.append(row)
    print('Added to the same allocator without recording: median (minimum, spread).\n')
    print_table(['tool', 'allocator', *(f'{threads} thread{"s" * (threads > 1)}, ns' for threads in THREADS)], rows)
    print('memray sees what Python asks for only: see programs.\n')
