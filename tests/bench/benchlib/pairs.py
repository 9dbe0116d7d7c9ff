"""A malloc and its free, by threads and depth of the stack."""
import os

from .measure import in_turns, median, packed_size, program, remove, rounds, run_under, size_of, spread
from .table import number, print_table, ratio
from .tools import PLAIN, RECORDED, SAMPLED, TAPPED, present

ABOUT = 'nanoseconds added to a pair of malloc and free, by threads and frames'
THREADS, DEPTHS = (1, 2, 4), (5, 15, 40)


def run_pairs(tool, depth, threads, pairs, output, **more):
    """(nanoseconds per pair by the program's own clock, number of calls), or None if the program died."""
    done = run_under(tool, [program('pairs'), str(depth), str(threads), str(pairs)], output, **more)
    if not done:
        return None
    ns, calls = done.output.split()[-2:]  # some tools print there, too
    return float(ns), int(calls)


def measure_cell(tools, depth, threads, pairs, count, work):
    """Times of each tool, and bytes per call in the last round's traces."""
    output = {tool: os.path.join(work, tool.name.replace(' ', '-')) for tool in tools}
    found = in_turns(tools, count, lambda tool: run_pairs(tool, depth, threads, pairs, output[tool]))
    cell = {'depth': depth, 'threads': threads, 'ns': {}, 'bytes': {}, 'packed': {}}
    for tool in tools:
        results, place = found[tool], output[tool]
        cell['ns'][tool.name] = [ns for ns, _ in results] if results else None
        if results and tool is not PLAIN:
            calls = results[-1][1]
            packed = packed_size(tool.name, place)
            cell['bytes'][tool.name] = size_of(place) / calls
            cell['packed'][tool.name] = packed / calls if packed else None
        remove(place)
    return cell


def measure(plan):
    tools, absent = present([PLAIN, TAPPED, SAMPLED, RECORDED])
    count, pairs = rounds(plan, 5, 3), 60000 if plan.quick else 600000
    print(f'{count} rounds of `pairs FRAMES THREADS {pairs}`, heaptrack raw to a file. {absent}\n', flush=True)
    return {'rounds': count, 'pairs': pairs, 'tools': [tool.name for tool in tools],
            'cells': [measure_cell(tools, depth, threads, pairs, count, plan.work)
                      for threads in THREADS for depth in DEPTHS]}


def added(cell, tool):
    """What it adds to plain within a round, the median; and the least times' difference. None if one of them died. The
    machine is fast and slow in turns of some seconds: within a round it mostly stays what it is."""
    values, plain = cell['ns'].get(tool), cell['ns'].get('plain')
    if not values or not plain:
        return None, None
    return median([value - base for value, base in zip(values, plain)]), min(values) - min(plain)


def show(figures):
    others = [tool for tool in figures['tools'] if tool != 'plain']
    rows = []
    for cell in figures['cells']:
        plain = cell['ns']['plain']
        row = [cell['threads'], cell['depth'], f'{number(median(plain))} ({number(min(plain))})']
        for tool in others:
            row.append('{} ({})'.format(*map(number, added(cell, tool))) if cell['ns'][tool] else 'died')
        row += [ratio(ours, theirs) for ours, theirs in zip(added(cell, 'memtap'), added(cell, 'heaptrack'))]
        row.append('/'.join(number(spread(cell['ns'][tool])) if cell['ns'][tool] else '–' for tool in figures['tools']))
        row += [', '.join(number(cell[kind].get(tool), 2) for kind in ('bytes', 'packed'))
                for tool in ('memtap', 'heaptrack')]
        rows.append(row)
    print('Median (minimum), of what a tool adds the median within a round (between the minima); spread: from the least to '
          'the most of a tool\'s rounds, in % of the median.\n')
    print_table(['threads', 'frames', 'plain ns'] + [f'{tool} + ns' for tool in others] +
                ['memtap/heaptrack', 'of the minima', 'spread %, ' + '/'.join(figures['tools']), 'memtap bytes/call, packed',
                 'heaptrack bytes/call, zstd'], rows)
    show_scaling(figures)


def show_scaling(figures):
    """How many pairs per second all threads make together, in parts of what one makes."""
    cells = {(cell['threads'], cell['depth']): cell['ns'] for cell in figures['cells']}
    rows = []
    for depth in DEPTHS:
        for tool in figures['tools']:
            ns = {threads: cells[threads, depth][tool] for threads in THREADS}
            if all(ns.values()):
                rates = [threads * median(ns[1]) / median(ns[threads]) for threads in THREADS[1:]]
                rows.append([depth, tool, number(1e3 / median(ns[1]), 1)] + [number(rate, 2) for rate in rates])
    print('Pairs per second of all threads together:\n')
    print_table(['frames', 'tool', 'M/s at 1 thread'] + [f'× at {threads} threads' for threads in THREADS[1:]], rows)
