"""Reading back what was recorded."""
import os

from .measure import MEMTAP, ROOT, in_turns, median, program, remove, rounds, run, run_under, size_of
from .programs import QUICK_STEPS, STEPS, count_events, python
from .table import number, print_table, size
from .tools import HEAPTRACK_INTERPRET, RECORDED, TAPPED, make

ABOUT = 'events per second of memtap report, beside heaptrack_interpret and heaptrack_print'
PAIRS, QUICK_PAIRS = 20000000, 2000000  # 40 and 4 million events

REPORT, LIST = make('memtap report'), make('memtap ls (names no frames)')
INTERPRET = make('heaptrack_interpret + heaptrack_print')


def shell(command, *words):
    return run(['sh', '-c', command, 'sh', *words])


def replay(tool, recorded):
    """One reading of a recording; heaptrack's in the two steps of its command line, less the compression between."""
    if tool in (REPORT, LIST):
        return run([MEMTAP, *(['report', '--quiet'] if tool is REPORT else ['ls']), recorded[tool]])
    interpreted = recorded[tool] + '.interpreted'
    first = shell('exec "$1" < "$2" > "$3"', HEAPTRACK_INTERPRET, recorded[tool], interpreted)
    shell('zstd -q -f -1 "$1" -o "$1.zst"', interpreted)
    second = run(['heaptrack_print', interpreted + '.zst'])
    remove(interpreted)
    remove(interpreted + '.zst')
    if not first or not second:
        return None
    return first._replace(wall=first.wall + second.wall, cpu=first.cpu + second.cpu, user=first.user + second.user,
                          rss=max(first.rss, second.rss))


def measure_recording(argv, more, count, work):
    """Records with both tools, and reads it in turns."""
    recorded = {tool: os.path.join(work, 'replay-' + ('heaptrack' if tool is INTERPRET else 'memtap'))
                for tool in (REPORT, LIST, INTERPRET)}
    run_under(TAPPED, argv, recorded[REPORT], **more)
    tools, possible = [REPORT, LIST], not RECORDED.absent and os.path.exists(HEAPTRACK_INTERPRET)
    if possible and run_under(RECORDED, argv, recorded[INTERPRET], **more):
        tools.append(INTERPRET)
    found = {'events': count_events(recorded[REPORT]), 'bytes': {tool.name: size_of(recorded[tool]) for tool in tools}}
    turns = in_turns(tools, count, lambda tool: replay(tool, recorded))
    found['runs'] = {tool.name: [{'wall': done.wall, 'user': done.user, 'rss': done.rss} for done in runs or []]
                     for tool, runs in turns.items()}
    for place in recorded.values():
        remove(place)
    return found


def measure(plan):
    count = rounds(plan, 3, 2)
    pairs, steps = (QUICK_PAIRS, QUICK_STEPS) if plan.quick else (PAIRS, STEPS)
    print(f'{count} rounds of `memtap report` on a recording of `pairs 15 1 {pairs}` and one of `work.py {steps}`, and '
          f'of heaptrack_interpret and heaptrack_print on its own of the same.\n', flush=True)
    return {'rounds': count, 'recordings': {
        'pairs': measure_recording([program('pairs'), '15', '1', str(pairs)], {}, count, plan.work),
        'python3': measure_recording([python(), os.path.join(ROOT, 'tests/bench/work.py'), str(steps)],
                                     {'PYTHONMALLOC': 'malloc'}, count, plan.work)}}


def show(figures):
    rows = []
    for name, found in figures['recordings'].items():
        for tool, runs in found['runs'].items():
            events, row = found['events'], [name, tool, number(found['events']), size(found['bytes'][tool])]
            if not runs or not events:
                rows.append(row + ['died'] + [''] * 4)
                continue
            wall = [done['wall'] for done in runs]
            rows.append(row + [number(events / median(wall) / 1e6, 1), number(events / min(wall) / 1e6, 1),
                               number(median(wall), 2), number(median([done['user'] for done in runs]), 2),
                               size(max(done['rss'] for done in runs))])
    print_table(['recording', 'tool', 'events', 'MiB', 'M events/s', 'at best', 'wall s', 'user s', 'peak RSS MiB'],
                rows)
