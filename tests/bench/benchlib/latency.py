"""How long single calls take, and what made the longest ones so long."""
import os
import shutil

from .measure import in_turns, median, program, rounds, run_under
from .table import number, print_table, time
from .tools import DRAINED, PLAIN, RECORDED, TAPPED, present

ABOUT = 'single calls: percentiles, what closes a chunk, first calls of threads and modules'
MODULES = 100
NAMES = {'malloc': 'malloc', 'free': 'free', 'closing': 'calls that close a chunk',
         'first_of_thread': 'first call of a thread', 'second_of_thread': 'its second',
         'load_of_module': 'dlopen of a module', 'first_of_module': 'first call from it',
         'second_of_module': 'its second', 'load_of_libstdcxx': 'dlopen of libstdc++ (heaptrack has it)'}


def run_latency(tool, events, work):
    """The program's lines as lists of words; None if it died. It runs on the first CPU, memtap run on the second."""
    output, modules = os.path.join(work, 'out'), os.path.join(work, 'modules')
    argv = [program('latency'), str(events), '0', str(MODULES), modules]
    argv += [output] if tool in (TAPPED, DRAINED) else []
    aside = None if tool is not DRAINED or os.cpu_count() == 1 else (lambda: os.sched_setaffinity(0, {1}))
    done = run_under(tool, argv, output, before=aside)
    return [line.split() for line in done.output.splitlines()] if done else None


def measure(plan):
    tools, absent = present([PLAIN, TAPPED, DRAINED, RECORDED])
    count, events = rounds(plan, 5, 3), 500000 if plan.quick else 10000000
    work = os.path.join(plan.work, 'latency')
    os.makedirs(os.path.join(work, 'modules'))
    for module in range(MODULES):
        shutil.copy(program('latency_module.so'), os.path.join(work, f'modules/{module}.so'))
    print(f'{count} rounds of `latency {events} 0 {MODULES}`: on CPU 0 alone, 15 frames, rdtsc around each call; with '
          f'`memtap run` a reader on CPU 1 empties the ring. {absent}\n', flush=True)
    turns = in_turns(tools, count, lambda tool: run_latency(tool, events, work))
    shutil.rmtree(work)
    return {'rounds': count, 'events': events, 'lines': {tool.name: lines for tool, lines in turns.items()}}


def values(runs, *words):
    """[numbers of the line that begins with the words, of each run]"""
    return [[float(word) for word in line[len(words):]]
            for run in runs for line in run if tuple(line[:len(words)]) == words]


def show(figures):
    runs = {tool: lines for tool, lines in figures['lines'].items() if lines}
    died = [tool for tool, lines in figures['lines'].items() if not lines]
    own = median([line[0] for lines in runs.values() for line in values(lines, 'own')])
    print(f'Median over the rounds of each percentile; the longest of all. Timing itself takes {number(own)} ns, '
          f'subtracted.{" Died: " + ", ".join(died) + "." if died else ""}\n')
    rows = []
    for name, text in NAMES.items():
        for tool, lines in runs.items():
            found = [line for line in values(lines, 'times', name) if line[0]]
            if found:
                percentiles = [time(median([line[i] for line in found])) for i in (1, 2, 3)]
                rows.append([text, tool, number(sum(line[0] for line in found)), *percentiles,
                             time(max(line[4] for line in found))])
    print_table(['', 'tool', 'calls', 'p50', 'p99', 'p99.9', 'longest'], rows)
    show_long(runs)


def show_long(runs):
    rows = []
    for tool, lines in runs.items():
        for name in ('malloc', 'free'):
            found = values(lines, 'long', name)
            rows.append([tool, name] + [number(sum(line[i] for line in found)) for i in range(5)] +
                        [number(sum(line[0] for line in found) / sum(line[5] for line in found))])
        found = values(lines, 'idle')
        rows.append([tool, f'a loop that calls nothing (longest {time(max(line[2] for line in found))})'] +
                    [number(sum(line[0] for line in found)), '', number(sum(line[1] for line in found)), '', '',
                     number(sum(line[0] for line in found) / sum(line[3] for line in found))])
    print('Calls of 10 µs or more in all rounds, by what happened meanwhile; what a loop that calls nothing meets '
          'is the machine.\n')
    print_table(['tool', 'call', 'all', 'closed a chunk', 'CPU taken away', 'page given', 'other', 'per second'], rows)
