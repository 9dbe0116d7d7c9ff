"""Runs programs with and without the tap, and reads what was recorded. For suites that compare the two."""
import collections
import json
import os
import pathlib
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TAP = ROOT / 'libmemtap.so'
MEMTAP = ROOT / 'memtap'
PROGRAMS = ROOT / 'build/tests/programs'

Outcome = collections.namedtuple('Outcome', 'status stdout stderr')


class Failure(Exception):
    """A test failed, for the reason given; one line."""


def require(condition, reason):
    if not condition:
        raise Failure(reason)


# --- running ----------------------------------------------------------------------------------------------------------

def environment(place, **more):
    """A small environment that is the same everywhere; `place` is home and the directory for temporary files."""
    kept = {name: os.environ[name] for name in ('PATH',) if name in os.environ}
    return kept | {'HOME': str(place), 'TMPDIR': str(place), 'LANG': 'C.UTF-8', 'TZ': 'UTC'} | more


def under_tap(env, session, tap=TAP):
    """The environment of a bare use of the tap."""
    return env | {'LD_PRELOAD': str(tap), 'MEMTAP_OUTPUT': str(session)}


def start(argv, env, cwd, stdin=subprocess.PIPE):
    return subprocess.Popen([str(a) for a in argv], env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)


def what_remains(session):
    """Of the processes of a session of the system (setsid): number, name, state, and where in the kernel they wait."""
    remain = []
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            before, after = stat.read_text().rsplit(')', 1)
            if int(after.split()[3]) == session:
                at = (stat.parent / 'wchan').read_text()
                call = (stat.parent / 'syscall').read_text().split()[0]
                remain.append(f'{before}) {after.split()[0]} in {at}, call {call}')
        except (OSError, IndexError):
            continue  # it has ended
    return '; '.join(remain)


def finish(process, stdin=b'', timeout=60):
    """Waits for the end of a process, and of all that hold its output open."""
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        remain = what_remains(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failure(f'no end within {timeout} s: {remain}') from None
    return Outcome(process.returncode, stdout.decode(errors='replace'), stderr.decode(errors='replace'))


def next_line(process, timeout=60):
    """What the process says next; it must say it in time, and say nothing else meanwhile."""
    ready, _, _ = select.select([process.stdout], [], [], timeout)
    if not ready:
        os.killpg(process.pid, signal.SIGKILL)
        raise Failure(f'no line within {timeout} s')
    return process.stdout.readline().decode()


def run(argv, env, cwd, stdin=b'', timeout=60):
    return finish(start(argv, env, cwd), stdin, timeout)


def as_nobody(*argv):
    return ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *argv]


# --- comparing --------------------------------------------------------------------------------------------------------

def first_difference(what, plain, tapped):
    for number, (a, b) in enumerate(zip(plain.split('\n') + [None], tapped.split('\n') + [None]), 1):
        if a != b:
            return f'{what} line {number}: {a!r} without, {b!r} with the tap'
    return f'{what} ends differently'


def require_same(plain, tapped):
    """The two outcomes are the same bytes."""
    for what in ('stderr', 'stdout'):
        a, b = getattr(plain, what), getattr(tapped, what)
        require(a == b, first_difference(what, a, b) if a != b else '')
    require(plain.status == tapped.status, f'status {plain.status} without, {tapped.status} with the tap')


# --- reading ----------------------------------------------------------------------------------------------------------

def memtap(*arguments, timeout=120):
    return run([MEMTAP, *arguments], environment(tempfile.gettempdir()), '/', timeout=timeout)


def report(session, top=1):
    """What `memtap report --json` says; it must open the session and exit with 0."""
    outcome = memtap('report', '--quiet', '--top', str(top), '--json', session)
    require(outcome.status == 0, f'memtap report: status {outcome.status}, {outcome.stderr.strip()}')
    return json.loads(outcome.stdout)


def report_text(session):
    outcome = memtap('report', '--quiet', session)
    require(outcome.status == 0, f'memtap report: status {outcome.status}, {outcome.stderr.strip()}')
    return outcome.stdout


def recorded_calls(found):
    """How many calls a report holds that asked for memory or gave it back; found with all sites (report's `top`)."""
    totals = found['totals']
    twice = sum(site['alloc_count'] for site in found['sites'] if site['call'] == 'realloc')
    return totals['alloc_count'] + totals['free_count'] + totals['failed_allocs'] - twice


# --- a suite ----------------------------------------------------------------------------------------------------------

class Place:
    """A fresh directory for a suite, world-accessible, gone at the end."""

    def __init__(self, name):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f'memtap-{name}-'))
        self.path.chmod(0o755)

    def fresh(self, name, mode=0o755):
        path = self.path / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        path.chmod(mode)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def run_tests(tests):
    """Runs (name, function) pairs, those named on the command line or all, and prints their lines; the exit status."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    failed = False
    for name, test in tests:
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        try:
            test()
            print(f'ok {name}', flush=True)
        except Exception as failure:  # whatever it is, the tests after it still run
            failed = True
            kind = '' if isinstance(failure, Failure) else f'{type(failure).__name__}: '
            print(f'not ok {name}: {kind}{" | ".join(str(failure).splitlines())}', flush=True)
    return 1 if failed else 0
