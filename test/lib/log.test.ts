import { execFileSync } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createBatches, createLogger } from '../../src/lib/log.ts'

const record = () => {
  const lines: string[] = []
  const logger = createLogger('info', { write: (line) => lines.push(line) })
  return { logger, read: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

test('an event is one line of JSON with its level by name and its time, and nothing of the process', () => {
  const { logger, read } = record()
  logger.info({ id: 'req_1', address: '127.0.0.1' }, 'request')
  logger.debug({}, 'not at this level')
  expect(read()).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      id: 'req_1',
      address: '127.0.0.1',
      msg: 'request',
    },
  ])
})

test('the values of secret names are left out, in the event and in its members', () => {
  const { logger, read } = record()
  const event = {
    token: 'eyJ-secret',
    cookie: ['secret'],
    caller: { authorization: 'Bearer secret', name: 'maya' },
    list: [1],
  }
  logger.warn(event, 'odd')
  expect(read()[0]).toMatchObject({
    token: '[redacted]',
    cookie: '[redacted]',
    caller: { authorization: '[redacted]', name: 'maya' },
    list: [1],
  })
  // What the caller holds is not ours to change.
  expect(event.token).toBe('eyJ-secret')
  expect(event.caller.authorization).toBe('Bearer secret')
})

test('an error keeps its name, message and stack where a secret of it is left out', () => {
  const { logger, read } = record()
  const cause = Object.assign(new Error('the disk is full'), { token: 'secret' })
  const err = Object.assign(new TypeError('no report was kept', { cause }), { cookie: 'secret' })
  logger.error({ err }, 'odd')
  logger.error(err)
  for (const event of read()) {
    expect(event['err']).toEqual({
      type: 'TypeError',
      message: 'no report was kept: the disk is full',
      stack: expect.stringContaining('log.test.ts'),
      cookie: '[redacted]',
    })
  }
})

test('the lines of one turn are one write, in their order', async () => {
  const writes: string[] = []
  const batches = createBatches({ write: (lines) => writes.push(lines) })
  batches.write('a\n')
  batches.write('b\n')
  expect(writes).toEqual([])
  await setImmediate()
  batches.write('c\n')
  await setImmediate()
  expect(writes).toEqual(['a\nb\n', 'c\n'])
})

test('lines that a pipe does not take in one piece are several writes of whole lines', async () => {
  const writes: string[] = []
  const batches = createBatches({ write: (lines) => writes.push(lines) })
  const lines = [2000, 2000, 100, 9000, 1, 4094].map((length) => `${'x'.repeat(length)}\n`)
  // Two bytes a letter: 3,001 of them.
  lines.push(`${'é'.repeat(1500)}\n`, `${'x'.repeat(1500)}\n`)
  for (const line of lines) batches.write(line)
  await setImmediate()
  expect(writes.join('')).toBe(lines.join(''))
  expect(writes.map((write) => Buffer.byteLength(write))).toEqual([
    4002, 101, 9001, 2, 4095, 3001, 1501,
  ])
})

test.each([
  ['ends by itself', ''],
  ['calls exit', 'process.exit(0)'],
  [
    'dies of an error nobody caught',
    "process.on('uncaughtException', () => process.exit(0)); throw 1",
  ],
])('what was said before a process %s is on stderr', (_how, end) => {
  const file = new URL('../../src/lib/log.ts', import.meta.url).href
  const program = `
    const { createLogger } = await import(${JSON.stringify(file)})
    createLogger('info').info('last words')
    ${end}`
  const sh = `"${process.execPath}" --input-type=module -e "$PROGRAM" 2>&1 >/dev/null`
  const output = execFileSync('sh', ['-c', sh], { env: { PROGRAM: program }, encoding: 'utf8' })
  expect(JSON.parse(output)).toMatchObject({ msg: 'last words' })
})
