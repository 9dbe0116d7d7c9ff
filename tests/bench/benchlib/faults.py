"""Where nothing can be written any more."""
import os
import resource
import subprocess

from .measure import median, remove, rounds
from .pairs import run_pairs
from .table import number, print_table
from .tools import PLAIN, RECORDED, TAPPED

ABOUT = 'a pair of malloc and free where the trace cannot grow any more'
PAIRS = 600000  # fewer would not fill the 2 MiB, with --quick either


def small_disk(work):
    """A file system of 2 MiB, or None where one may not mount."""
    place = os.path.join(work, 'disk')
    os.makedirs(place, exist_ok=True)
    mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', place], stderr=subprocess.DEVNULL,
                             check=False)
    return place if mounted.returncode == 0 else None


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))


def situations(work, disk):
    """(name, tool, place of the trace, what to do in the child, more environment)"""
    found = [('nothing in the way', TAPPED, work, None, {}),
             ('MEMTAP_LIMIT reached', TAPPED, work, None, {'MEMTAP_LIMIT': '2M'}),
             ('file size limit reached', TAPPED, work, limit_file_size, {})]
    if disk:
        found.append(('disk full', TAPPED, disk, None, {}))
    if disk and not RECORDED.absent:
        found.append(('disk full', RECORDED, disk, None, {}))
    return found


def measure(plan):
    """At one thread and 15 frames: where 2 MiB are all there is, recording stops long before the end."""
    count, disk = rounds(plan, 5, 3), small_disk(plan.work)
    print(f'{count} rounds of `pairs 15 1 {PAIRS}`{"" if disk else "; no disk may be mounted here"}.\n', flush=True)
    cases = situations(plan.work, disk)
    rows = [{'situation': name, 'tool': tool.name, 'ns': [], 'plain': []} for name, tool, *_ in cases]
    try:
        for _ in range(count):
            for row, (_, tool, place, before, more) in zip(rows, cases):
                output = os.path.join(place, 'faults')
                plain = run_pairs(PLAIN, 15, 1, PAIRS, output)
                result = run_pairs(tool, 15, 1, PAIRS, output, before=before, **more)
                row['plain'].append(plain[0])
                row['ns'].append(result[0] if result else None)
                remove(output)
    finally:
        if disk:
            subprocess.run(['umount', disk], check=False)
    return {'rounds': count, 'rows': rows}


def show(figures):
    rows = []
    for row in figures['rows']:
        plain, died = row['plain'], None in row['ns']
        rows.append([row['situation'], row['tool'], number(median(plain)), 'died' if died else
                     f'{number(median(row["ns"]) - median(plain))} ({number(min(row["ns"]) - min(plain))})'])
    print_table(['situation', 'tool', 'plain ns', '+ ns, median (minimum)'], rows)
