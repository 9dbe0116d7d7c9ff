"""Whole programs: Python, node, a compiler, redis."""
import collections
import os
import re
import shutil
import subprocess
import sys
import time

from .measure import BUILD, MEMTAP, ROOT, Run, in_turns, median, packed_size, remove, rounds, run, run_under, size_of
from .table import number, print_table, ratio
from .tools import MEMRAY, PLAIN, RECORDED, SAMPLED, TAPPED, make, present

ABOUT = 'seconds added to whole programs, and bytes of trace'
PYTHON = os.path.join(BUILD, 'venv/bin/python')
STEPS, QUICK_STEPS = 180, 18  # of work.py: 60 and 6 million events
REQUESTS, QUICK_REQUESTS = 500000, 100000
FUNCTIONS, QUICK_FUNCTIONS = 12, 3  # of the file to compile

# tools beside the usual ones; start(tool, output): runs it once
Program = collections.namedtuple('Program', 'name tools start')


def python():
    """The one that memray is installed for, if it is."""
    return PYTHON if os.path.exists(PYTHON) else sys.executable


def python_program(plan):
    """Each object is asked of malloc; memray sees them where Python asks its own allocator, which is faster."""
    steps = str(QUICK_STEPS if plan.quick else STEPS)
    argv = [python(), os.path.join(ROOT, 'tests/bench/work.py'), steps]
    own = make('plain, own allocator', base='')

    def under_memray(name, *options):
        return make(name, base=own.name, absent='' if os.path.exists(MEMRAY) else 'scripts/setup bench brings it',
                    wrap=lambda argv, output: [MEMRAY, 'run', '-q', '--trace-python-allocators', *options, '-o', output,
                                               *argv[1:]])
    memrays = [under_memray('memray, own allocator'), under_memray('memray --native, own allocator', '--native')]

    def start(tool, output):
        more = {} if tool in (own, *memrays) else {'PYTHONMALLOC': 'malloc'}
        return run_under(tool, argv, output, **more)
    return Program('python3', [own, *memrays], start)


def node_program(plan):
    argv = ['node', os.path.join(ROOT, 'tests/bench/work.mjs'), '40' if plan.quick else '300']
    return Program('node', [], lambda tool, output: run_under(tool, argv, output)) if shutil.which('node') else None


def write_source(path, functions):
    """A file that keeps a C++ compiler busy."""
    with open(path, 'w') as f:
        f.write('#include <algorithm>\n#include <functional>\n#include <iostream>\n#include <map>\n#include <memory>\n'
                '#include <regex>\n#include <sstream>\n#include <string>\n#include <tuple>\n#include <vector>\n')
        for i in range(functions):
            f.write(f'''template <int N> struct part{i} {{
    std::map<std::string, std::tuple<part{i}<N - 1> *, int>> map;
}};
template <> struct part{i}<0> {{ int last; }};
int function{i}(const std::string &text)
{{
    static part{i}<12> part;
    std::smatch match;
    std::vector<std::function<int(int)>> list;
    for (int i = 0; i < {i + 3}; i++)
        list.push_back([i, &text](int x) {{ return x * i + int(text.size()); }});
    std::sort(list.begin(), list.end(), [](auto &a, auto &b) {{ return a(1) < b(1); }});
    part.map[text] = {{ nullptr, {i} }};
    bool matches = std::regex_match(text, match, std::regex("({i}|[a-z]+)*"));
    return matches ? list[0](int(match.size())) : int(part.map.size());
}}
''')


def compiler_program(plan):
    """The compiler proper: heaptrack does not follow g++'s children."""
    if not shutil.which('g++'):
        return None
    source, plain = os.path.join(plan.work, 'large.cc'), os.path.join(plan.work, 'large.ii')
    write_source(source, QUICK_FUNCTIONS if plan.quick else FUNCTIONS)
    compiler = run(['g++', '-print-prog-name=cc1plus'])
    if not compiler or not run(['g++', '-E', source, '-o', plain]):
        return None
    argv = [compiler.output.strip(), '-quiet', '-fpreprocessed', '-O2', plain, '-o', '/dev/null']
    return Program('cc1plus -O2', [], lambda tool, output: run_under(tool, argv, output))


def redis_program(plan):
    """The time of redis-benchmark, the processor seconds of the server, which all of it goes through."""
    if not shutil.which('redis-server') or not shutil.which('redis-benchmark'):
        return None
    socket, requests = os.path.join(plan.work, 'redis.sock'), str(QUICK_REQUESTS if plan.quick else REQUESTS)
    server = ['redis-server', '--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir',
              plan.work]

    def start(tool, output):
        remove(output)
        environment = {k: v for k, v in os.environ.items() if k != 'LD_PRELOAD'} | tool.environment(output)
        process = subprocess.Popen(tool.wrap(server, output), env=environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            for _ in range(500):
                if os.path.exists(socket) or process.poll() is not None:
                    break
                time.sleep(0.02)
            done = run(['redis-benchmark', '-s', socket, '-q', '-P', '16', '-n', requests, '-r', '100000', '-d', '100',
                        '-t', 'set,get,lpush,hset,sadd'])
            run(['redis-cli', '-s', socket, 'shutdown', 'nosave'])
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
            remove(socket)
        if not done or process.returncode != 0:
            return None
        return Run(done.wall, used.ru_utime + used.ru_stime, used.ru_utime, used.ru_maxrss * 1024, '')
    return Program('redis-server', [], start)


def count_events(session):
    done = run([MEMTAP, 'ls', session])
    found = re.search(r'([\d,]+) heap events', done.output) if done else None
    return int(found[1].replace(',', '')) if found else None


def measure_program(each, tools, count, work):
    output = {tool: os.path.join(work, 'programs-' + re.sub(r'\W+', '-', tool.name)) for tool in tools}
    turns = in_turns(tools, count, lambda tool: each.start(tool, output[tool]))
    found = {'events': count_events(output[TAPPED]) if turns[TAPPED] else None, 'tools': {}}
    for tool in tools:
        runs, place = turns[tool], output[tool]
        found['tools'][tool.name] = {
            'base': tool.base, 'wall': [done.wall for done in runs] if runs else None,
            'cpu': [done.cpu for done in runs] if runs else None,
            'bytes': size_of(place) if runs else None,
            'packed': packed_size(tool.name, place) if runs and tool in (TAPPED, SAMPLED, RECORDED) else None}
        remove(place)
    return found


def measure(plan):
    programs = [python_program(plan), node_program(plan), compiler_program(plan), redis_program(plan)]
    count = rounds(plan, 3, 2)
    usual, absent = present([PLAIN, TAPPED, SAMPLED, RECORDED])
    _, absent_too = present(programs[0].tools)
    gone = [name for name, each in zip(('node', 'g++', 'redis-server or redis-benchmark'), programs[1:]) if not each]
    print(f'{count} rounds of tests/bench/work.py with PYTHONMALLOC=malloc, work.mjs, cc1plus on a file that is made, '
          f'and redis-benchmark against a server under the tool. {absent} {absent_too}'
          f'{" Left out, not installed: " + ", ".join(gone) + "." if gone else ""}\n', flush=True)
    found = {each.name: measure_program(each, usual + present(each.tools)[0], count, plan.work)
             for each in programs if each}
    return {'rounds': count, 'programs': found}


def show(figures):
    rows = []
    for name, found in figures['programs'].items():
        tools, events, beside = found['tools'], found['events'], found['tools'].get('heaptrack')
        for tool, taken in tools.items():
            base, row = tools.get(taken['base']), [name, tool]
            if not taken['wall']:
                rows.append(row + ['died'] + [''] * 6)
                continue
            more = {what: median(taken[what]) - median(base[what]) if base else None for what in ('wall', 'cpu')}
            least = {what: min(taken[what]) - min(base[what]) if base else None for what in ('wall', 'cpu')}
            for what in ('wall', 'cpu'):
                row.append(f'+{number(more[what], 2)} (+{number(least[what], 2)})' if base and tool != 'plain' else
                           f'{number(median(taken[what]), 2)} ({number(min(taken[what]), 2)})')
            per = 1e9 / events if events else 0
            row.append(number(more['cpu'] * per) if base and tool != 'plain' and events else '')
            against = median(beside['cpu']) - median(base['cpu']) if base and beside and beside['cpu'] else None
            row.append(ratio(more['cpu'], against) if tool.startswith('memtap') else '')
            row += [number(taken[kind] / events, 2) if taken[kind] and events else '' for kind in ('bytes', 'packed')]
            row.append(number(events) if tool == 'memtap' and events else '')
            rows.append(row)
    print('Seconds, median (minimum); of redis, the wall time of the client and the processor seconds of the server. '
          'Packed: memtap pack, zstd; what memray writes is packed already.\n')
    print_table(['program', 'tool', 'wall s', 'processor s', 'ns/event', 'to heaptrack', 'bytes/event', 'packed',
                 'events'], rows)
