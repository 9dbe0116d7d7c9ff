// Node's threads and processes.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync, fork, spawn } = require('child_process');
const { createHash } = require('crypto');
const zlib = require('zlib');

function work(n) {
  const list = [];
  for (let i = 0; i < 20000; i++) list.push({ i, text: `number ${i * n}` });
  return createHash('sha256').update(JSON.stringify(list)).digest('hex').slice(0, 16);
}

function inWorker(n) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: n });
    worker.once('message', resolve).once('error', reject);
  });
}

function inChild(start) {
  return new Promise((resolve) => {
    let out = '';
    const child = start();
    child.stdout?.on('data', (data) => { out += data; });
    child.on('message', (message) => { out += message; });
    child.on('close', (code) => resolve(`${out.trim()} ${code}`));
  });
}

async function main() {
  console.log('workers', (await Promise.all([1, 2, 3].map(inWorker))).join(' '));
  console.log('exec', execFileSync('echo', ['from echo']).toString().trim());
  console.log('spawn', await inChild(() => spawn('sh', ['-c', 'cat; exit 3'], { stdio: ['ignore', 'pipe', 'inherit'] })));
  console.log('fork', await inChild(() => fork(__filename, ['child'])));
  console.log('threads of the pool', zlib.gunzipSync(await new Promise((resolve) =>
    zlib.gzip(Buffer.alloc(1 << 20, 'x'), (_, data) => resolve(data)))).length);
  process.exitCode = 6;
}

if (!isMainThread) parentPort.postMessage(work(workerData));
else if (process.argv[2] === 'child') process.send('message from the child', () => process.exit(8));
else main();
