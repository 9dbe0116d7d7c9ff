// Loads a model into llama.cpp inside node and puts requests to it: a small
// model server for the tests, without the server.
//
// Every engine here runs on one thread: its threads wait for each other by
// spinning, and on a busy machine two of them are many times slower than one.

import { loadModel } from '@fugood/llama.node'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import v8 from 'node:v8'
import vm from 'node:vm'

const USAGE = `usage: node drive.mjs --model F.gguf [options]
  --model F.gguf    the language model
  --mmproj F.gguf   its vision tower; every request then has the image
  --image F.png     the image, needed with --mmproj
  --requests N      how many requests (default 20)
  --predict N       tokens to generate for each (default 8)
  --ctx N           tokens of context (default 512)
  --no-mmap         read the weights into memory, do not map the file
  --rest MS         rest after each step, so that it can be looked at (default 0)
  --keep-context    leak: every request makes one more context and keeps it
  --collect         collect JavaScript's garbage after each request
  --log FILE        write what the engine logs, buffer sizes among it
  --json FILE       write the memory after each step
`

const OPTIONS = {
  model: { type: 'string' },
  mmproj: { type: 'string' },
  image: { type: 'string' },
  requests: { type: 'string', default: '20' },
  rest: { type: 'string', default: '0' },
  predict: { type: 'string', default: '8' },
  ctx: { type: 'string', default: '512' },
  'no-mmap': { type: 'boolean', default: false },
  'keep-context': { type: 'boolean', default: false },
  collect: { type: 'boolean', default: false },
  log: { type: 'string' },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
}

// The engine takes the image where this stands in the prompt.
const IMAGE_MARKER = '<__media__>'

// What --keep-context leaks. Global, so that nothing ever collects it.
const keptContexts = []

class UsageError extends Error {}

function parseOptions() {
  let options
  try {
    options = parseArgs({ options: OPTIONS }).values
  } catch (error) {
    throw new UsageError(error.message)
  }
  for (const name of ['requests', 'predict', 'ctx']) {
    if (!/^\d+$/.test(options[name])) throw new UsageError(`--${name} takes a whole number`)
    options[name] = Number(options[name])
  }
  if (options.help) return options
  if (!options.model) throw new UsageError('--model is missing; see --help')
  if (!options.mmproj !== !options.image) throw new UsageError('--mmproj and --image go together')
  requireFile(options.model, 'GGUF')
  if (options.mmproj) requireFile(options.mmproj, 'GGUF')
  if (options.image) requireFile(options.image, 'PNG', '\x89PNG')
  return options
}

// The engine crashes on a file that is not a model, so that is found out first.
function requireFile(name, kind, magic = kind) {
  const start = Buffer.alloc(4)
  try {
    const file = fs.openSync(name)
    fs.readSync(file, start)
    fs.closeSync(file)
  } catch (error) {
    throw new UsageError(error.message)
  }
  if (start.toString('latin1') !== magic) throw new UsageError(`${name} is not a ${kind} file`)
}

// The marks addon is optional: without it the driver runs the same and marks nothing.
function loadMarks() {
  try {
    return createRequire(import.meta.url)('./memtap.node')
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    return { mark() {}, requestBegin() {}, requestEnd() {} }
  }
}

// Sends the error stream, where the engine logs, to a file. The listener that
// the engine offers would miss the vision tower's lines, and the lines still
// under way when the process is killed.
function startLog(file) {
  fs.closeSync(fs.openSync(file, 'w')) // it can be written; if not, the error is still seen
  fs.closeSync(2)
  fs.openSync(file, 'a') // takes the lowest free number, which is 2
}

// What the kernel says about this process, in bytes.
function readMemory() {
  const status = fs.readFileSync('/proc/self/status', 'latin1')
  const field = (name) => 1024 * Number(status.match(`${name}:\\s+(\\d+) kB`)[1])
  return { rss_anon: field('RssAnon'), rss_file: field('RssFile'), swap: field('VmSwap') }
}

// In this engine a context owns its model, so each one loads the file again:
// mapped weights are shared by the kernel, read weights are one more copy.
function openContext(options) {
  return loadModel({
    model: options.model,
    n_ctx: options.ctx,
    n_threads: 1,
    n_gpu_layers: 0,
    use_mmap: !options['no-mmap'],
  })
}

async function openSession(options) {
  const session = await openContext(options)
  if (options.mmproj) await session.initMultimodal({ path: options.mmproj, use_gpu: false })
  return session
}

// The number comes first: what a prompt has in common with the one before it is
// not computed again, and an image there would be encoded once and never more.
function ask(session, options, number) {
  const image = options.image ? { media_paths: [options.image] } : {}
  return session.completion({
    prompt: `${number}${options.image ? IMAGE_MARKER : ''} is a number and it is`,
    n_predict: options.predict,
    temperature: 0,
    ignore_eos: true, // random weights may end a text at once; every request is to do the same work
    ...image,
  })
}

async function serveRequest(session, options, marks, number) {
  marks.requestBegin(number)
  const started = performance.now()
  const answer = await ask(session, options, number)
  if (options['keep-context']) keptContexts.push(await openContext(options))
  const ms = Math.round(performance.now() - started)
  marks.requestEnd(number, answer.tokens_predicted)
  console.log(`request ${number}/${options.requests} ${answer.tokens_predicted} tokens ${ms} ms`)
  return {
    id: number,
    ms,
    tokens_evaluated: answer.tokens_evaluated,
    tokens_predicted: answer.tokens_predicted,
    text: answer.text,
    memory: readMemory(),
  }
}

// The function that `node --expose-gc` has, without the flag.
function garbageCollector() {
  v8.setFlagsFromString('--expose-gc')
  return vm.runInNewContext('gc')
}

async function drive(options, marks) {
  const report = { schema_version: 1, options, steps: { start: readMemory() }, requests: [] }
  const step = async (name) => {
    report.steps[name] = readMemory()
    marks.mark(name, 0)
    console.log(name)
    await new Promise((done) => setTimeout(done, options.rest))
  }

  const collect = options.collect ? garbageCollector() : () => {}
  const session = await openSession(options)
  await step('loaded')
  for (let number = 1; number <= options.requests; number++) {
    report.requests.push(await serveRequest(session, options, marks, number))
    collect()
  }
  await step('served')
  await session.release() // not the kept contexts: nobody frees a leak
  await step('released')
  return report
}

async function main() {
  const options = parseOptions()
  if (options.help) return process.stdout.write(USAGE)
  if (options.log) startLog(options.log)
  const report = await drive(options, loadMarks())
  if (options.json) fs.writeFileSync(options.json, JSON.stringify(report, null, 1) + '\n')
}

main().catch((error) => {
  console.error(`drive.mjs: ${error.message}`) // with --log, the last line of the log
  process.exit(error instanceof UsageError ? 2 : 1)
})
