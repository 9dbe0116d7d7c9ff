"""Tools that record or sample allocations, and how each is put before a program."""
import collections
import glob
import os
import shutil

from .measure import BUILD, MEMTAP, ROOT

TAP = os.path.join(ROOT, 'libmemtap.so')
HEAPTRACK = '/usr/lib/heaptrack/libheaptrack_preload.so'
HEAPTRACK_INTERPRET = '/usr/lib/heaptrack/libexec/heaptrack_interpret'
MEMRAY = os.path.join(BUILD, 'venv/bin/memray')

# base: the tool to which its cost is compared: the same allocator without recording. environment(output) and
# wrap(argv, output) put it before a program. absent: why it cannot be used here, or nothing.
Tool = collections.namedtuple('Tool', 'name base environment wrap absent')


def make(name, environment=None, wrap=None, base='plain', absent=''):
    return Tool(name, base, environment or (lambda output: {}), wrap or (lambda argv, output: argv), absent)


def library(name):
    """The path of a shared object, by name or by a pattern in build/bench and /usr/local/lib; None if there is none."""
    places = [BUILD, '/usr/local/lib', '/usr/lib', *glob.glob('/usr/lib/*-linux-gnu')]
    found = [path for place in places for path in sorted(glob.glob(os.path.join(place, name)))]
    return found[0] if found else None


def mentions(path, word):
    with open(path, 'rb') as f:
        return word.encode() in f.read()


def preloaded(name, file, base='plain', package='', word='', **settings):
    """A tool that is a shared object, built with what `word` belongs to; {output} stands in its settings for where it
    writes."""
    path = library(file)
    absent = '' if path else f'no {file}' + (f' ({package})' if package else '')
    if path and not mentions(path, word):
        absent = f'{path} was built without {word}'
    return make(name, lambda output: {'LD_PRELOAD': path} | {k: v.format(output=output) for k, v in settings.items()},
                base=base, absent=absent)


def tap(output, **more):
    return {'LD_PRELOAD': TAP, 'MEMTAP_OUTPUT': output, **more}


PLAIN = make('plain')
TAPPED = make('memtap', tap)
SAMPLED = make('memtap sampled', lambda output: tap(output, MEMTAP_SAMPLE='512K'),
               absent='' if mentions(TAP, 'MEMTAP_SAMPLE') else 'this libmemtap.so does not know MEMTAP_SAMPLE')
DRAINED = make('memtap run', wrap=lambda argv, output: [MEMTAP, 'run', '-q', '-o', output, '--', *argv])
RECORDED = make('heaptrack', lambda output: {'LD_PRELOAD': HEAPTRACK, 'DUMP_HEAPTRACK_OUTPUT': output},
                absent='' if os.path.exists(HEAPTRACK) else 'no libheaptrack_preload.so (apt heaptrack)')

# Other allocators come first without recording, then with it.
PEERS = [
    preloaded('tcmalloc', 'libtcmalloc.so.4', base='', package='scripts/setup bench'),
    preloaded('gperftools heap profiler', 'libtcmalloc.so.4', 'tcmalloc', 'scripts/setup bench',
              HEAPPROFILE='{output}'),
    preloaded('jemalloc', 'libjemalloc.so.2', base=''),
    preloaded('jemalloc prof, 512 KiB', 'libjemalloc.so.2', 'jemalloc', word='lg_prof_sample',
              MALLOC_CONF='prof:true,prof_final:true,lg_prof_sample:19,prof_prefix:{output}'),
    preloaded('jemalloc prof, every one', 'libjemalloc.so.2', 'jemalloc', word='lg_prof_sample',
              MALLOC_CONF='prof:true,prof_final:true,lg_prof_sample:0,prof_prefix:{output}'),
    preloaded('libmemusage (no stacks)', 'libmemusage.so', MEMUSAGE_OUTPUT='{output}'),
    preloaded('async-profiler, 512 KiB', 'libasyncProfiler*.so', package='scripts/setup bench',
              ASPROF_COMMAND='start,nativemem=512k,cstack=dwarf,file={output}'),
    preloaded('async-profiler, every one', 'libasyncProfiler*.so', package='scripts/setup bench',
              ASPROF_COMMAND='start,nativemem=0,cstack=dwarf,file={output}'),
    preloaded('bytehound', 'libbytehound.so', package='built from source only', MEMORY_PROFILER_OUTPUT='{output}',
              MEMORY_PROFILER_LOG='off'),
    make('ddprof, 512 KiB', wrap=lambda argv, output: ['ddprof', '--preset', 'alloc_only', '-o', output, *argv],
         absent='' if shutil.which('ddprof') else 'no ddprof in PATH (not in any registry)'),
]


def present(tools):
    """Those that can be used here, and a line for the others."""
    missing = [f'{tool.name}: {tool.absent}' for tool in tools if tool.absent]
    return [tool for tool in tools if not tool.absent], ('Absent: ' + '; '.join(missing) + '.') if missing else ''
