"""Three builds of llama.cpp, run under `memtap run` on one thread, and looked at in steps:

    fugood          one stripped shared object for node, everything linked into it; with vision
    node_llama_cpp  unstripped shared libraries that node loads where nothing else sees them; without vision
    llama_server    stripped shared libraries and a server, on a libc of its own; with vision
"""
import base64
import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from tapped import MEMTAP, ROOT, environment, memtap, require, run

NODE = ROOT / 'tests/engines/llama-node'
REST = '500'  # ms after each step, so that the snapshot of resident pages is of that moment
TEXT, IMAGE = 'served', 'image'
OLLAMA = pathlib.Path(os.environ.get('MEMTAP_CACHE') or pathlib.Path(os.environ['HOME']) / '.cache/memtap') / 'ollama-0.32.15'
SERVER = OLLAMA / 'lib/ollama/llama-server'

# `steps` are names of marks; the last one is after the model was unloaded. `maps`: at some steps, bytes that the kernel
# has mapped of the model file.
Run = collections.namedtuple('Run', 'session log steps pid maps')


def prepare(place):
    """Models, the picture, the marks for node; the ground truth of the models by name."""
    outcome = run([ROOT / 'scripts/make-gguf', place, 'tiny-llama', 'tiny-phi3', 'tiny-gemma3', 'tiny-gemma3-mmproj',
                   'small-llama'], environment(place), place)
    require(outcome.status == 0, outcome.stderr)
    run([ROOT / 'scripts/make-gguf', '--image', place / 'picture.png'], environment(place), place)
    run(['cc', '-shared', '-fPIC', '-O2', f'-I{ROOT}/include', NODE / 'memtap-node.c', '-o', NODE / 'memtap.node'],
        environment(place), place)
    return {model['name']: model for model in json.loads(outcome.stdout)['models']}


# --- inside node ------------------------------------------------------------------------------------------------------

def run_node(place, script, *options):
    session, log = place / 's.mtap', place / 'log'
    outcome = run([MEMTAP, 'run', '-q', '-f', '-o', session, '--', 'node', script, '--requests', '3', '--rest', REST,
                   '--log', log, *options], environment(place), place, timeout=240)
    text = log.read_text(errors='replace') if log.exists() else ''
    require(outcome.status == 0, f'the engine ended with {outcome.status}: {outcome.stderr[-200:]} {text[-300:]}')
    return Run(session, text, ['loaded', TEXT, 'released'], main_pid(session), {})


def run_fugood(place, mode, model, mmproj=None, image=None):
    options = ['--no-mmap'] if mode == 'none' else []
    if mmproj:
        options += ['--mmproj', mmproj, '--image', image]
    return run_node(place, NODE / 'drive.mjs', '--model', model, *options)


def run_node_llama_cpp(place, mode, model):
    return run_node(place, ROOT / 'tests/engines/node-llama-cpp/drive.mjs', '--model', model, '--mode', mode)


def main_pid(session):
    """The process that ran longest: node-llama-cpp tries its library in another one first."""
    outcome = memtap('report', '--quiet', '--json', '--top', '1', session)
    return max(json.loads(outcome.stdout)['processes'], key=lambda p: p['end_ns'] - p['start_ns'])['pid']


# --- the server -------------------------------------------------------------------------------------------------------

def fetch_server():
    fetched = subprocess.run([ROOT / 'tests/engines/ollama/fetch', '--llama-server'], stderr=subprocess.PIPE, text=True)
    require(fetched.returncode == 0, f'llama-server could not be fetched: {fetched.stderr.strip()[-300:]}')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Server:
    """llama-server under the tap, from its start to its end."""

    def __init__(self, place, *options):
        self.model, self.maps = options[options.index('--model') + 1], {}
        self.session, self.log, self.port = place / 's.mtap', place / 'log', free_port()
        command = [MEMTAP, 'run', '-q', '-f', '-o', self.session, '--', SERVER, '--port', self.port, '--host', '127.0.0.1',
                   '-t', '1', '-tb', '1', '-c', '512', '-np', '1', '--no-webui', '--offline', '--log-verbosity', '4',
                   *options]
        env = environment(place, GGML_BACKEND_PATH=str(SERVER.parent / 'libggml-cpu-x64.so'), LLAMA_MEDIA_MARKER='<__media__>')
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen([str(word) for word in command], env=env, cwd=place, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def text(self):
        return self.log.read_text(errors='replace')

    def ask(self, path, body=None):
        request = urllib.request.Request(f'http://127.0.0.1:{self.port}{path}', json.dumps(body).encode() if body else None,
                                         {'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.loads(reply.read())

    def wait(self, what, condition, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            require(self.process.poll() is None, f'llama-server ended: {self.text()[-400:]}')
            require(time.monotonic() < end, f'llama-server: no {what} within {seconds} s: {self.text()[-400:]}')
            time.sleep(0.05)

    def is_ready(self):
        try:
            return self.ask('/health')['status'] == 'ok'
        except (OSError, urllib.error.URLError, KeyError):
            return False

    def mark(self, name):
        outcome = memtap('mark', self.session, name)
        require(outcome.status == 0, outcome.stderr)
        ranges = [line.split()[0].split('-') for line in self.lines_of_maps() if line.rstrip().endswith(f'/{self.model.name}')]
        self.maps[name] = sum(int(end, 16) - int(start, 16) for start, end in ranges)

    def lines_of_maps(self):
        children = pathlib.Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text().split()
        return pathlib.Path(f'/proc/{children[0]}/maps').read_text().splitlines()

    def complete(self, text, image=None):
        prompt = {'prompt_string': f'<__media__>{text}', 'multimodal_data': [base64.b64encode(image.read_bytes()).decode()]} \
            if image else text
        answer = self.ask('/completion', {'prompt': prompt, 'n_predict': 8, 'temperature': 0, 'ignore_eos': True})
        require(answer['tokens_predicted'] == 8, f'{answer}')

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # memtap run passes it on
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


def run_llama_server(place, mode, model, mmproj=None, image=None, unload=True):
    options = ['--load-mode', mode, '--model', model]
    options += ['--mmproj', mmproj] if mmproj else []
    options += ['--sleep-idle-seconds', '6'] if unload else []
    server = Server(place, *options)
    steps = ['loaded', TEXT]
    try:
        server.wait('answer', server.is_ready)
        server.mark('loaded')
        for number in range(3):
            server.complete(f'{number} is a number and it is')
        server.mark(TEXT)
        if image:
            server.complete(' is a picture', image)
            server.mark(IMAGE)
            steps.append(IMAGE)
        if unload:
            server.wait('sleep', lambda: 'entering sleep' in server.text().lower() or 'sleeping' in server.text().lower())
            time.sleep(1)
            server.mark('released')
            steps.append('released')
    finally:
        server.stop()
    return Run(server.session, server.text(), steps, main_pid(server.session), server.maps)
