"""Memory that a tool takes in the target."""
import json
import os
import statistics

from .measure import MEMTAP, in_turns, median, program, remove, rounds, run, run_under
from .table import print_table, size
from .tools import PLAIN, RECORDED, SAMPLED, TAPPED, present

ABOUT = 'resident memory that is added to a program with 20,000 call stacks'
THREADS, SITES = (1, 8), 20000


def own_memory(session):
    """What the report itself says of the tap's memory: {anonymous, resident, ring} in bytes."""
    done = run([MEMTAP, 'report', '--quiet', '--json', '--top', '1', session])
    return json.loads(done.output)['memtap'] if done else None


def measure(plan):
    tools, absent = present([PLAIN, TAPPED, SAMPLED, RECORDED])
    count, found, said = rounds(plan, 5, 3), {}, {}
    print(f'{count} rounds of `sites THREADS {SITES}`: each stack allocates ten times. {absent}\n', flush=True)
    for threads in THREADS:
        output = {tool: os.path.join(plan.work, 'memory-' + tool.name.replace(' ', '-')) for tool in tools}
        argv = [program('sites'), str(threads), str(SITES)]
        turns = in_turns(tools, count, lambda tool, argv=argv, output=output: run_under(tool, argv, output[tool]))
        found[threads] = {tool.name: [int(done.output.split()[0]) for done in runs] if runs else None
                          for tool, runs in turns.items()}
        said[threads] = own_memory(output[TAPPED])
        for place in output.values():
            remove(place)
    return {'rounds': count, 'tools': [tool.name for tool in tools], 'rss': found, 'report': said}


def show(figures):
    others, rows = [tool for tool in figures['tools'] if tool != 'plain'], []
    for threads in THREADS:
        rss, said = figures['rss'][threads], figures['report'][threads]
        plain = statistics.median(rss['plain'])
        rows.append([threads, size(plain)] +
                    [size(median(rss[tool]) - plain) if rss[tool] else 'died' for tool in others] +
                    [f'{size(said["resident"])} + ring {size(said["ring"])}' if said else '–'])
    print('MiB resident, median; a tool\'s ring or file that is mapped counts as far as it is resident.\n')
    print_table(['threads', 'plain'] + [f'{tool} +' for tool in others] + ['memtap report says'], rows)
