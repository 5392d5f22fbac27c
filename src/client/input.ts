import { encodeUtf8 } from '../lib/bytes.ts'

/** What is sent: all of it at once, or as it comes: a Node stream, a web stream, an async generator. */
export type Input = string | Uint8Array | AsyncIterable<string | Uint8Array>

/** The input as bytes, text as UTF-8. @throws TypeError for anything else, before or on the way. */
export async function* readInput(input: Input): AsyncGenerator<Uint8Array, void> {
  if (typeof input === 'string' || input instanceof Uint8Array) yield toBytes(input)
  else for await (const part of input) yield toBytes(part)
}

const toBytes = (part: unknown): Uint8Array => {
  if (part instanceof Uint8Array) return part
  if (typeof part === 'string') return encodeUtf8(part)
  throw new TypeError('input comes as text or as bytes')
}
