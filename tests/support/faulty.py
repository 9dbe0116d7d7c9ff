"""What the suite of faults asks of each of them, and a disk that can be full."""
import ctypes
import os
import re
import time

from tapped import (PROGRAMS, TAP, environment, finish, next_line, recorded_calls, report, report_text, require,
                    require_same, run, start, under_tap)

ALL_SITES = 100000
COUNT = str(PROGRAMS / 'faults_count')
DISK = 16 << 20

SENTENCES = {
    'no_slot': 'more threads recorded at once than the ring has slots',
    'disk_full': 'the disk was full',
    'file_size': "the target's file size limit (RLIMIT_FSIZE) was reached",
    'limit': 'the trace reached its limit (MEMTAP_LIMIT)',
    'no_memory': 'the tap could not map memory',
    'io_error': 'the trace could not be written',
    'no_descriptor': 'no file descriptor was free to append to the trace',
    'paused': 'recording was paused',
}


# --- what every test asks ---------------------------------------------------------------------------------------------

def calls_made(outcome, word='calls'):
    match = re.search(rf'^{word} (\d+)$', outcome.stdout, re.M)
    require(match, f'the program said {outcome.stdout!r} {outcome.stderr!r}, status {outcome.status}')
    return int(match[1])


def require_accounted(session, calls, *causes, end='exit 0'):
    """Recorded and lost calls add up, and the loss has one of the causes; without causes nothing may be lost."""
    found = report(session, ALL_SITES)
    lost, losses = found['totals']['lost_events'], found['losses']
    recorded = recorded_calls(found)
    require(bool(causes) or recorded > 0, 'nothing was recorded')
    require(set(losses) <= set(causes), f'lost {losses}, expected cause: {" or ".join(causes) or "none"}')
    require(lost == sum(losses.values()), f'lost {lost}, by cause {losses}')
    require(recorded + lost == calls, f'recorded {recorded} + lost {lost} = {recorded + lost}, made {calls} calls')
    ended = found['processes'][0]['end']
    require(ended == end, f'the program ended with "{end}", the report says "{ended}"')
    text = report_text(session)
    for cause, count in losses.items():
        lines = re.findall(rf'^ *LOST: {count:,} events, because {re.escape(SENTENCES[cause])}$', text, re.M)
        require(len(lines) == 1, f'the report has no line that says that {count:,} were lost by {cause}:\n{text[:900]}')
    return losses


def tapped_by_env(session, tap=TAP):
    """Lets the tap into the program alone, not into those before it that arrange the fault."""
    return ['env', f'LD_PRELOAD={tap}', f'MEMTAP_OUTPUT={session}']


def run_both(argv, place, session, wrapper=(), tap=TAP, mask=None, **variables):
    """Runs a program without and with the tap, requires the same, and returns the second outcome."""
    env = environment(place, **variables)
    plain = run([*wrapper, 'env', *argv], env, place)
    tapped = run([*wrapper, *tapped_by_env(session, tap), *argv], env, place)
    hide = (lambda o: o._replace(stdout=re.sub(mask, '', o.stdout, flags=re.M))) if mask else (lambda o: o)
    require_same(hide(plain), hide(tapped))
    return tapped


def require_lost_some(losses):
    require(losses, 'nothing was lost, so nothing was tested')


def require_no_trace(*directories):
    """Where not even a header could be written, no rest of one may lie about."""
    for directory in directories:
        left = [str(path) for path in directory.rglob('*.mtap') if path.is_file()]
        require(not left, f'left behind: {left}')


# --- a small disk -----------------------------------------------------------------------------------------------------

libc = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_REMOUNT, MNT_DETACH = 1, 32, 2


class Disk:
    """A small tmpfs, world-writable."""

    def __init__(self, path, size=DISK):
        self.path = path
        path.mkdir(exist_ok=True)
        self.mount(0, f'size={size},mode=1777')

    def mount(self, flags, options):
        done = libc.mount(b'tmpfs', str(self.path).encode(), b'tmpfs', flags, options.encode())
        require(done == 0, f'cannot mount a tmpfs: {os.strerror(ctypes.get_errno())} (this suite needs root)')

    def leave(self, free):
        """Fills it until only `free` bytes are left."""
        state = os.statvfs(self.path)
        with open(self.path / 'filler', 'xb') as filler:
            os.posix_fallocate(filler.fileno(), 0, state.f_bavail * state.f_frsize - free)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        libc.umount2(str(self.path).encode(), MNT_DETACH)


# --- a program that halts, so that something can be done to it --------------------------------------------------------

def meet(suite, meddle, word=b'on\n', threads=2, rounds=60000):
    """Starts a program, calls meddle(process, session) at its halt, lets it go on; the session and its outcome."""
    place = suite.fresh('place')
    session = place / 's.mtap'
    argv = [COUNT, str(rounds), str(threads), str(rounds // 2)]
    plain = run(argv, environment(place), place, stdin=word)
    process = start(argv, under_tap(environment(place), session), place)
    first = next_line(process)
    meddle(process, session)
    outcome = finish(process, word)
    require_same(plain, outcome._replace(stdout=first + outcome.stdout))
    return session, calls_made(outcome), int(first.split()[1])


def trace_of(session):
    return next(session.glob('*.mtap'))


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()
