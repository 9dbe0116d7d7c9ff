// Loads a model into llama.cpp inside node (tests/engines/llama-node), on one thread, and prints what each request took
// by the engine's own clock: a line of JSON each. The engine's log, with the times of images, goes to the error stream.
//
//   node llama.mjs [--pause MEMTAP SESSION] REQUESTS TOKENS MODEL.gguf [MMPROJ.gguf IMAGE.png]
//
// The first request warms up and is not printed. With --pause, MEMTAP pauses the recording of SESSION, this process's, for
// the second and the third of every four requests.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

const { loadModel } = createRequire(new URL('../engines/llama-node/', import.meta.url))('@fugood/llama.node')
const words = process.argv.slice(2)
const [memtap, recording] = words[0] === '--pause' ? words.splice(0, 3).slice(1) : []
const [requests, tokens, model, mmproj, image] = words

let paused = false
function pause(wanted) {
  if (!memtap || paused === wanted) return
  const { status } = spawnSync(memtap, [wanted ? 'pause' : 'resume', recording], { env: {} })
  if (status !== 0) throw new Error(`${memtap}: status ${status}`)
  paused = wanted
}

const session = await loadModel({ model, n_ctx: 512, n_threads: 1, n_gpu_layers: 0, use_mmap: true })
if (mmproj) await session.initMultimodal({ path: mmproj, use_gpu: false })
for (let number = 0; number <= Number(requests); number++) {
  pause(number > 0 && [false, true, true, false][(number - 1) % 4])
  const { timings } = await session.completion({
    prompt: mmproj ? `${number}<__media__> is a number and it is` : `It is a number: ${number}`,
    n_predict: number > 0 ? Number(tokens) : 1,
    temperature: 0,
    ignore_eos: true, // random weights may end a text at once
    ...(mmproj ? { media_paths: [image] } : {}),
  })
  if (number > 0) {
    console.log(JSON.stringify({ bench: { tokens: timings.predicted_n, ms: timings.predicted_ms, paused } }))
  }
}
await session.release()
