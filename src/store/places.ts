/**
 * Whose each entry of a segment is: four bytes of a hash in the order of the entries, so that a
 * person's are found one by one and not segment by segment. Two people may have one hash: what is found is
 * looked at. Like the summaries a cache, and one cell of it costs an entry next to nothing.
 */
const cellBytes = 4

/** Cells for so many entries, of nobody yet. */
export const createCells = (size: number): Uint8Array => new Uint8Array(size * cellBytes)

/** Enters whose an entry is, by its place in the segment. */
export const setCell = (cells: Uint8Array, place: number, subject: string): void => {
  cells.set(encodeHash(subject), place * cellBytes)
}

/** Finds the places of somebody's entries in cells, ascending; among them, rarely, another's. */
export const createFindPlaces = (subject: string): ((cells: Uint8Array) => readonly number[]) => {
  const hash = encodeHash(subject)
  return (cells) => {
    const bytes = Buffer.from(cells.buffer, cells.byteOffset, cells.byteLength)
    const places: number[] = []
    let at = bytes.indexOf(hash)
    while (at >= 0) {
      // Between two cells it stands by chance.
      const isCell = at % cellBytes === 0
      if (isCell) places.push(at / cellBytes)
      at = bytes.indexOf(hash, at + (isCell ? cellBytes : 1))
    }
    return places
  }
}

/** FNV-1a, with its bits mixed (the end of MurmurHash3): subjects differ in their last digits. */
const encodeHash = (subject: string): Uint8Array => {
  let hash = 0x811c9dc5
  for (let at = 0; at < subject.length; at++) {
    hash = Math.imul(hash ^ subject.charCodeAt(at), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return Uint8Array.of(hash, hash >>> 8, hash >>> 16, hash >>> 24)
}
