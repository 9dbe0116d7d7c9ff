"""Python's ways to have more than one process and thread, and to call C."""
import ctypes
import mmap
import multiprocessing
import os
import subprocess
import sys
import threading


def square(n):
    return n * n


def with_pool(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        print(method, sum(pool.map(square, range(500))), flush=True)
    queue = context.Queue()
    child = context.Process(target=queue.put, args=(['x' * 1000] * 50,))
    child.start()
    print(method, len(queue.get()), flush=True)
    child.join()
    print(method, child.exitcode, flush=True)


def with_subprocess():
    for close_fds in (True, False):
        done = subprocess.run([sys.executable, '-c', 'import os; print(len(os.environ) > 0); raise SystemExit(4)'],
                              close_fds=close_fds, capture_output=True, text=True)
        print('subprocess', close_fds, done.stdout.strip(), done.stderr, done.returncode, flush=True)
    reader, writer = os.pipe()
    subprocess.run(['sh', '-c', f'echo passed on >&{writer}'], pass_fds=[writer], start_new_session=True)
    os.close(writer)
    print(reader, writer, os.read(reader, 100), flush=True)
    child = os.fork()
    if child == 0:
        os._exit(9)
    print('fork', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def with_threads():
    found = []
    threads = [threading.Thread(target=lambda n=n: found.append(sum(len(str(i)) for i in range(n * 1000))))
               for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print('threads', sum(found), flush=True)


def with_ctypes():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(100 + n) for n in range(1000)]
    for block in blocks:
        libc.free(block)
    order = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
    libc.qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), order(lambda a, b: a[0] - b[0]))
    print('ctypes', all(blocks), list(numbers), flush=True)
    with mmap.mmap(-1, 1 << 20) as memory:
        memory[:5] = b'hello'
        print('mmap', memory[:6], flush=True)


if __name__ == '__main__':
    with_threads()
    with_ctypes()
    with_subprocess()
    for start_method in ('fork', 'spawn', 'forkserver'):
        with_pool(start_method)
