/** What a process did to the files of one directory, and what it said to its clients, in order. */
export type Event =
  | { readonly kind: 'create' | 'unlink' | 'sync' | 'synced'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly at: number; readonly data: Buffer }
  | { readonly kind: 'append'; readonly path: string; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  /** An answer with a certificate is on its way out: from here on it counts as received. */
  | { readonly kind: 'deliver'; readonly serial: string }

/** Every call by which SQLite or Node could change a file, or answer on a socket. */
const calls =
  'openat,pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,rename,unlink'
/** Calls that this reader would not understand: where one is seen the run means nothing. */
const unread =
  'sync_file_range,fallocate,renameat,renameat2,unlinkat,copy_file_range,io_uring_enter'
const longest = 64 * 1024

/** Runs a program under strace, which writes to `path` what parseTrace reads. */
export const traceCommand = (path: string): readonly string[] => [
  ...['strace', '-f', '-qq', '-y', '-xx', '--seccomp-bpf', '-s', String(longest)],
  ...['-e', `trace=${calls},${unread}`, '-o', path],
]

const decode = (hex: string): Buffer => Buffer.from(hex.replaceAll('\\x', ''), 'hex')

/** `123 pwrite64(29<path>, "bytes", 24, 56) = 24`; the result stands later where a call was long. */
const started = /^\d+ +(\w+)\((.*?)(?:\) += (-?\d+)[^)]*| <unfinished \.\.\.>)$/s
const resumed = /^(\d+) +<\.\.\. (\w+) resumed>.*\) += (-?\d+)/
const target = /^\d+<((?:\\x..)*)>/

/**
 * The events in the order in which they can have taken effect: a write from when it began, a sync
 * for what had been written before it began (`sync`) and only once it had ended well (`synced`).
 */
export const parseTrace = (text: string, directory: string): readonly Event[] => {
  const events: Event[] = []
  const syncing = new Map<string, string>()
  for (const line of text.split('\n')) {
    const end = resumed.exec(line)
    if (end !== null) {
      const [, pid = '', , result] = end
      const path = syncing.get(pid)
      syncing.delete(pid)
      if (path !== undefined && result === '0') events.push({ kind: 'synced', path })
      continue
    }
    const call = started.exec(line)
    if (call === null) continue
    const [, name = '', args = '', result] = call
    if (result?.startsWith('-')) continue
    const found = parseCall(name, args, directory)
    events.push(...found)
    if (found[0]?.kind !== 'sync') continue
    const { path } = found[0]
    if (result === undefined) syncing.set(line.split(' ')[0] as string, path)
    else events.push({ kind: 'synced', path })
  }
  return events
}

const parseCall = (name: string, args: string, directory: string): readonly Event[] => {
  const path = decode(target.exec(args)?.[1] ?? '').toString()
  const isOurs = (other: string) => other === directory || other.startsWith(`${directory}/`)
  const [first = '', second = ''] = [...args.matchAll(/"((?:\\x..)*)"/g)].map(([, hex]) =>
    decode(hex as string).toString('latin1'),
  )
  if (name === 'openat') {
    if (!isOurs(first) || !args.includes('O_CREAT')) return []
    const made = { kind: 'create', path: first } as const
    return args.includes('O_TRUNC') ? [made, { kind: 'truncate', path: first, length: 0 }] : [made]
  }
  if (name === 'rename') return isOurs(first) ? [{ kind: 'rename', path: first, to: second }] : []
  if (name === 'unlink') return isOurs(first) ? [{ kind: 'unlink', path: first }] : []
  if (path.startsWith('socket:') || path.startsWith('TCP')) return parseAnswer(args)
  if (!isOurs(path)) return []
  if (args.includes('"...')) throw new Error(`a write was cut in the trace: ${path}`)
  const numbers = args.match(/-?\d+/g) ?? []
  switch (name) {
    case 'pwrite64':
      return [
        { kind: 'write', path, at: Number(numbers.at(-1)), data: Buffer.from(first, 'latin1') },
      ]
    case 'write':
      // Whoever writes without a place has just made the file, or opened it to append.
      return [{ kind: 'append', path, data: Buffer.from(first, 'latin1') }]
    case 'ftruncate':
      return [{ kind: 'truncate', path, length: Number(numbers.at(-1)) }]
    case 'fsync':
    case 'fdatasync':
      return [{ kind: 'sync', path }]
    default:
      throw new Error(`${name} on ${path}: this reader does not know what that leaves on the disk`)
  }
}

const serialMark = Buffer.from('"serial":"').toString('hex').replace(/../g, '\\x$&')

const parseAnswer = (args: string): readonly Event[] => {
  if (!args.includes(serialMark)) return []
  const texts = [...args.matchAll(/"((?:\\x..)*)"/g)].map(([, hex]) => decode(hex as string))
  const serial = /"serial":"(\d+)"/.exec(Buffer.concat(texts).toString('latin1'))?.[1]
  return serial === undefined ? [] : [{ kind: 'deliver', serial }]
}
