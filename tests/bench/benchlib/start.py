"""What starting and ending a program takes more."""
import os
import sys
import time

from .measure import OF_TOOLS, median, remove, rounds
from .table import number, print_table
from .tools import PLAIN, RECORDED, SAMPLED, TAPPED, present

ABOUT = 'start and end of small programs'


def spawn_ms(argv, environment):
    """From before the fork to after the wait; None if it failed."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(OF_TOOLS)}
    nothing = [(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)]
    begun = time.perf_counter_ns()
    pid = os.posix_spawn(argv[0], argv, dict(base, **environment), file_actions=nothing)
    _, status = os.waitpid(pid, 0)
    return (time.perf_counter_ns() - begun) / 1e6 if status == 0 else None


def measure(plan):
    tools, absent = present([PLAIN, TAPPED, SAMPLED, RECORDED])
    count = rounds(plan, 50, 15)
    programs = {'true': ['/bin/true'], 'ls -l /usr/lib': ['/bin/ls', '-l', '/usr/lib'],
                'python3 -c pass': [sys.executable, '-c', 'pass']}
    print(f'{count} rounds of posix_spawn and wait. {absent}\n', flush=True)
    output, found = os.path.join(plan.work, 'start'), {name: {tool.name: [] for tool in tools} for name in programs}
    for _ in range(count):
        for name, argv in programs.items():
            for tool in tools:
                remove(output)
                found[name][tool.name].append(spawn_ms(argv, tool.environment(output)))
    return {'rounds': count, 'tools': [tool.name for tool in tools], 'ms': found}


def show(figures):
    others, rows = [tool for tool in figures['tools'] if tool != 'plain'], []
    for name, ms in figures['ms'].items():
        plain = ms['plain']
        rows.append([name, f'{number(median(plain), 2)} ({number(min(plain), 2)})'] +
                    ['died' if None in ms[tool] else
                     f'{number(median(ms[tool]) - median(plain), 2)} ({number(min(ms[tool]) - min(plain), 2)})'
                     for tool in others])
    print('Milliseconds, median (minimum).\n')
    print_table(['program', 'plain'] + [f'{tool} +' for tool in others], rows)
