"""Threads that come and go, frees by another thread, and containers of C++."""
import os

from .measure import in_turns, median, program, rounds, run_under
from .table import number, print_table, ratio
from .tools import PLAIN, RECORDED, SAMPLED, TAPPED, present

ABOUT = 'blocks freed by another thread; threads that allocate 100 times and end; containers of C++'
# what it is called, the program and its work, what a time is of, the part of the work with --quick
CASES = [('freed by another, 1 + 1 threads', ['churn', 'exchange', '1', 2000000], 'block', 10),
         ('freed by another, 2 + 2 threads', ['churn', 'exchange', '2', 2000000], 'block', 10),
         ('short threads, 1 at a time', ['churn', 'threads', '1', 10000], 'block', 5),
         ('short threads, 4 at a time', ['churn', 'threads', '4', 10000], 'block', 5),
         ('map of texts', ['churn_cxx', 500000], 'ten pairs', 5)]


def measure(plan):
    tools, absent = present([PLAIN, TAPPED, SAMPLED, RECORDED])
    count = rounds(plan, 5, 3)
    print(f'{count} rounds of tests/bench/churn.c and churn_cxx.cc, wall time by their own clocks. {absent}\n',
          flush=True)
    output, found = os.path.join(plan.work, 'churn'), {}
    for name, (executable, *words, work), _, part in CASES:
        argv = [program(executable), *words, str(work // part if plan.quick else work)]
        runs = in_turns(tools, count, lambda tool, argv=argv: run_under(tool, argv, output))
        found[name] = {tool.name: [float(done.output.split()[0]) for done in runs[tool]] if runs[tool] else None
                       for tool in tools}
    return {'rounds': count, 'tools': [tool.name for tool in tools], 'ns': found}


def show(figures):
    others, rows = [tool for tool in figures['tools'] if tool != 'plain'], []
    for name, _, unit, _ in CASES:
        ns = figures['ns'][name]
        plain, added = ns['plain'], {tool: median(ns[tool]) - median(ns['plain']) for tool in others if ns[tool]}
        rows.append([name, unit, f'{number(median(plain))} ({number(min(plain))})'] +
                    [f'{number(added[tool])} ({number(min(ns[tool]) - min(plain))})' if tool in added else 'died'
                     for tool in others] + [ratio(added.get('memtap'), added.get('heaptrack'))])
    print('Nanoseconds, median (minimum); those of short threads hold the making of the threads.\n')
    print_table(['', 'per', 'plain'] + [f'{tool} +' for tool in others] + ['memtap/heaptrack'], rows)
