// Loads a model into another build of llama.cpp inside node: unstripped shared
// libraries that nothing else can see (RTLD_LOCAL). Text only: this build has
// no vision. Options and steps are those of ../llama-node/drive.mjs.

import { getLlama, LlamaCompletion } from 'node-llama-cpp'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    mode: { type: 'string', default: 'mmap' }, // or none, dio
    requests: { type: 'string', default: '3' },
    predict: { type: 'string', default: '8' },
    ctx: { type: 'string', default: '512' },
    rest: { type: 'string', default: '0' }, // ms after each step
    log: { type: 'string' },
  },
})

const marks = createRequire(import.meta.url)('../llama-node/memtap.node')

async function step(name) {
  marks.mark(name, 0)
  console.log(name)
  await new Promise((done) => setTimeout(done, Number(options.rest)))
}

async function serve(session) {
  for (let number = 1; number <= Number(options.requests); number++) {
    marks.requestBegin(number)
    await session.generateCompletion(`${number} is a number and it is`, { maxTokens: Number(options.predict), temperature: 0 })
    marks.requestEnd(number, Number(options.predict))
  }
}

// The engine logs to the error stream, which takes the lowest free number.
if (options.log) {
  fs.closeSync(fs.openSync(options.log, 'w'))
  fs.closeSync(2)
  fs.openSync(options.log, 'a')
}

// One thread: the engine's threads wait for each other by spinning.
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1, debug: true })
const model = await llama.loadModel({
  modelPath: options.model,
  useMmap: options.mode === 'mmap',
  useDirectIo: options.mode === 'dio',
})
const context = await model.createContext({ contextSize: Number(options.ctx), threads: 1 })
const session = new LlamaCompletion({ contextSequence: context.getSequence() })
await step('loaded')
await serve(session)
await step('served')
session.dispose()
await context.dispose()
await model.dispose()
await llama.dispose()
await step('released')
