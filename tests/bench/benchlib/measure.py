"""Runs programs under tools in turns, and keeps what they took."""
import collections
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '../../..'))
MEMTAP = os.path.join(ROOT, 'memtap')
PROGRAMS = os.path.join(ROOT, 'build/tests/bench')
BUILD = os.path.join(ROOT, 'build/bench')  # what scripts/setup bench brings

# quick: a look, not figures; rounds: None or what was asked for; work: a directory for files, gone at the end
Plan = collections.namedtuple('Plan', 'quick rounds work')

# wall, cpu in seconds (user and system, with the children it waited for); rss: most bytes, of the largest process
Run = collections.namedtuple('Run', 'wall cpu user rss output')

OF_TOOLS = ('LD_PRELOAD', 'MEMTAP_', 'DUMP_HEAPTRACK', 'MALLOC_', 'HEAP', 'MEMUSAGE_', 'ASPROF', 'PYTHONMALLOC')
PATIENCE = 400  # seconds; a program that takes longer counts as dead


def rounds(plan, full, quick):
    return plan.rounds or (quick if plan.quick else full)


def program(name):
    return os.path.join(PROGRAMS, name)


def run(argv, env=None, before=None, errors=None, **more):
    """Runs it to its end; None if it failed."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(OF_TOOLS)}
    with tempfile.TemporaryFile() as output:
        begun = time.perf_counter()
        try:
            process = subprocess.Popen(argv, env=dict(base, **(env or {}), **more), preexec_fn=before,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=errors or subprocess.DEVNULL,
                                       start_new_session=True)
        except OSError:
            return None
        watch = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors='replace')
    if process.returncode != 0:
        return None
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_utime, used.ru_maxrss * 1024, text)


def run_under(tool, argv, output, **more):
    """The same under a tool, which writes to a place where nothing is yet."""
    remove(output)
    return run(tool.wrap(argv, output), tool.environment(output), **more)


def in_turns(tools, count, once):
    """{tool: [once(tool), ...]}, another first in each round; None for a tool that failed once, which ends its part."""
    found = {tool: [] for tool in tools}
    for turn in range(count):
        for tool in tools[turn % len(tools):] + tools[:turn % len(tools)]:
            if found[tool] is None:
                continue
            result = once(tool)
            found[tool] = None if result is None else found[tool] + [result]
    return found


def median(values):
    return statistics.median(values) if values else None


def spread(values):
    """The distance from the least to the most, in percent of the median."""
    return 100 * (max(values) - min(values)) / statistics.median(values)


# --- files ------------------------------------------------------------------------------------------------------------

def size_of(path):
    """Bytes of a file, or of all files in a directory."""
    if os.path.isdir(path):
        return sum(size_of(os.path.join(path, name)) for name in os.listdir(path))
    return os.path.getsize(path) if os.path.exists(path) else 0


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)


def packed_size(tool, output):
    """What memtap pack makes of a session, or zstd of another tool's file; None if that cannot be told."""
    if not tool.startswith('memtap'):
        done = subprocess.Popen(['zstd', '-q', '-c', output], stdout=subprocess.PIPE) if shutil.which('zstd') else None
        return sum(len(piece) for piece in iter(lambda: done.stdout.read(1 << 20), b'')) or None if done else None
    packed = output + '.pack'
    remove(packed)
    done = run([MEMTAP, 'pack', output, '-o', packed])
    found = size_of(packed) if done else None
    remove(packed)
    return found
