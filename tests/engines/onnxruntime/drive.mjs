// Loads a model of scripts/make-onnx into ONNX Runtime inside node and puts
// requests to it. One thread.

import fs from 'node:fs'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import ort from 'onnxruntime-node'

const USAGE = `usage: node drive.mjs --model F.onnx [options]
  --columns N       the columns of its matrices (default 512)
  --batch N         rows of every request (default 64)
  --requests N      how many requests (default 20)
  --keep            leak: every request makes one more session and keeps it
  --no-prepacking   the runtime is not to rearrange the weights
  --json FILE       write the memory after each step
`

const OPTIONS = {
  model: { type: 'string' },
  columns: { type: 'string', default: '512' },
  batch: { type: 'string', default: '64' },
  requests: { type: 'string', default: '20' },
  keep: { type: 'boolean', default: false },
  'no-prepacking': { type: 'boolean', default: false },
  json: { type: 'string' },
}

// The marks addon is optional: without it the driver runs the same and marks nothing.
function loadMarks() {
  try {
    return createRequire(import.meta.url)('../llama-node/memtap.node')
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    return { mark() {}, requestBegin() {}, requestEnd() {} }
  }
}

// What the kernel says about this process, in bytes.
function readMemory() {
  const status = fs.readFileSync('/proc/self/status', 'latin1')
  const field = (name) => 1024 * Number(status.match(`${name}:\\s+(\\d+) kB`)[1])
  return { rss_anon: field('RssAnon'), rss_file: field('RssFile'), swap: field('VmSwap') }
}

function openSession(options) {
  return ort.InferenceSession.create(options.model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    extra: { session: { disable_prepacking: options['no-prepacking'] ? '1' : '0' } },
  })
}

// Every answer is kept until the next one is there, as a server would.
let answer

async function serveRequest(session, options, marks, number) {
  const columns = Number(options.columns)
  const rows = Number(options.batch)
  const input = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 31 + number) % 97) / 97)
  marks.requestBegin(number)
  answer = await session.run({ input: new ort.Tensor('float32', input, [rows, columns]) })
  marks.requestEnd(number, rows)
  if (answer.output.dims[0] !== rows) throw new Error(`the answer has ${answer.output.dims} values`)
}

async function drive(options, marks) {
  const report = { steps: { start: readMemory() } }
  const kept = []
  const step = (name) => {
    report.steps[name] = readMemory()
    marks.mark(name, 0)
  }

  const session = await openSession(options)
  step('loaded')
  for (let number = 1; number <= Number(options.requests); number++) {
    await serveRequest(session, options, marks, number)
    if (options.keep) kept.push(await openSession(options))
  }
  step('served')
  await session.release()
  step('released')
  if (options.json) fs.writeFileSync(options.json, JSON.stringify(report) + '\n')
}

const options = parseArgs({ options: OPTIONS }).values
if (!options.model) {
  process.stderr.write(USAGE)
  process.exit(2)
}
drive(options, loadMarks()).catch((error) => {
  console.error(`drive.mjs: ${error.message}`)
  process.exit(1)
})
