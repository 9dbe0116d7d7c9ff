"""What the tap recorded, read back through `memtap dump`: for suites that look at single events and their stacks.

Suites run from the repository root. A test is a function that returns or raises AssertionError.
"""
import os
import subprocess
import time
import traceback
from collections import namedtuple

TAP = os.path.abspath('libmemtap.so')
MEMTAP = os.path.abspath('memtap')

# One record: kind and fields as dump names them, numbers as int, `call` as text.
Event = namedtuple('Event', 'ns tid kind field text')

# A code address: path of its module and offset in it as a linker would write it; module '' for code in no file.
Place = namedtuple('Place', 'module offset')


class Trace:
    """The trace of one process: its events in the order of time, and the stacks they refer to."""

    def __init__(self, header):
        self.path, _, rest = header[2:].partition(': pid ')
        pid, _, self.program = rest.rstrip('\n').partition(', ')
        self.pid = int(pid)
        self.events, self.damage = [], None
        self._module, self._node = {}, {}

    def add(self, line):
        if line.startswith('#'):
            self.damage = line
            return
        head, quote, text = line.rstrip('\n').partition(' "')
        ns, tid, kind, *pairs = head.split(' ')
        field = {}
        for pair in pairs:
            name, _, value = pair.partition('=')
            field[name] = value if name == 'call' else int(value, 0)
        text = text[:-1] if quote else ''
        if kind == 'module':
            self._module[field['id']] = text.partition(' ')[2] if field['build_id_size'] else text
        elif kind == 'node':
            self._node[field['id']] = field
        self.events.append(Event(int(ns), int(tid), kind, field, text))

    def of(self, *kinds):
        return [e for e in self.events if e.kind in kinds]

    def stack(self, node):
        """The stack of a node, innermost frame first, component tags left out."""
        places = []
        while node > 1:
            n = self._node[node]
            if n['module'] != 0xffffffff:
                places.append(Place(self._module[n['module']] if n['module'] else '', n['value']))
            node = n['parent']
        return places


def read(session):
    """The traces of a session or file, parents before their children."""
    traces = []
    with subprocess.Popen([MEMTAP, 'dump', session], stdout=subprocess.PIPE, text=True, errors='replace') as dump:
        for line in dump.stdout:
            if line.startswith('# ') and ': pid ' in line:
                traces.append(Trace(line))
            else:
                traces[-1].add(line)
    assert dump.returncode == 0, f'memtap dump {session} ended with status {dump.returncode}'
    return traces


def record(argv, session, environment=None, behind=(), expected=0, **popen):
    """Runs a program under the bare tap; the trace of its first process. `behind`: preloaded after the tap."""
    full = dict(os.environ if environment is None else environment)
    full.update(LD_PRELOAD=' '.join((TAP,) + tuple(behind)), MEMTAP_OUTPUT=session)
    done = subprocess.run(argv, env=full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **popen)
    assert done.returncode == expected, f'{argv[0]} ended with status {done.returncode}: {done.stderr[-300:]!r}'
    return read(session)[0]


def library(name, output=None, flags=()):
    """Builds tests/libraries/NAME.c as a shared library and returns its path."""
    source = f'tests/libraries/{name}.c'
    built = os.path.abspath(f'build/tests/libraries/{output or name}.so')
    if not os.path.exists(built) or os.path.getmtime(built) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(built), exist_ok=True)
        subprocess.run(['gcc', '-std=gnu11', '-D_GNU_SOURCE', '-O2', '-g', '-shared', '-fPIC', '-Iinclude', *flags,
                        source, '-ldl', '-o', built], check=True)
    return built


def program(name):
    built = os.path.abspath(f'build/tests/programs/{name}')
    assert os.path.exists(built), f'{built} is not built: make test-programs'
    return built


def run_tests(tests):
    """Runs (name, function, arguments...) tuples, prints a line for each; the suite's exit status."""
    if not (os.path.exists(TAP) and os.path.exists(MEMTAP)):
        print('not ok start: libmemtap.so or memtap is not built')
        return 1
    failed = 0
    for name, function, *arguments in tests:
        started = time.monotonic()
        try:
            function(*arguments)
            print(f'ok {name}', flush=True)
        except Exception as e:  # a test that breaks is a failed test, and the others still run
            failed += 1
            said = isinstance(e, AssertionError)
            reason = ' '.join(str(e).split()) if said else traceback.format_exc().strip().splitlines()[-1]
            if not said:
                print(*traceback.format_exc(limit=-3).splitlines(), sep='\n')
            print(f'not ok {name}: {reason}', flush=True)
        if os.environ.get('TEST_TIMES'):
            print(f'  {name}: {time.monotonic() - started:.2f} s', flush=True)
    return 1 if failed else 0
