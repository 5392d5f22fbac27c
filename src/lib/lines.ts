/** A line, and how many bytes of the source it and all before it took. */
export interface Line {
  readonly text: string
  readonly number: number
  readonly end: number
}

/**
 * The lines of bytes as they come, without their end. No line is held beyond `maxBytes`: of a longer
 * one only its beginning is given. What is not UTF-8 is read with U+FFFD in its place.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line> {
  let kept: Uint8Array[] = []
  let length = 0
  let end = 0
  let number = 0
  const keep = (part: Uint8Array) => {
    const room = Math.max(0, maxBytes - length)
    if (room > 0 && part.length > 0) kept.push(part.subarray(0, room))
    length += part.length
  }
  const take = (): Line => {
    const text = Buffer.concat(kept).toString('utf8').replace(/\r$/, '')
    kept = []
    length = 0
    number++
    return { text, number, end }
  }
  for await (const chunk of chunks) {
    let from = 0
    for (;;) {
      const at = chunk.indexOf(0x0a, from)
      if (at < 0) break
      keep(chunk.subarray(from, at))
      end += at + 1 - from
      from = at + 1
      yield take()
    }
    keep(chunk.subarray(from))
    end += chunk.length - from
  }
  if (length > 0) yield take()
}
