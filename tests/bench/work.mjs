// JavaScript that allocates: node work.mjs STEPS. JSON there and back, maps, and buffers, which are outside the heap of
// JavaScript.
import zlib from 'node:zlib'

for (let step = 0; step < Number(process.argv[2]); step++) {
  const documents = Array.from({ length: 2000 }, (_, i) => ({ id: i, name: `document ${i}`, tags: [`tag ${i % 7}`] }))
  const text = JSON.stringify(documents)
  const map = new Map(JSON.parse(text).map((document) => [document.name, document]))
  for (let i = 0; i < 200; i++) Buffer.alloc(10000 + 100 * i).fill(i)
  zlib.inflateSync(zlib.deflateSync(text))
}
