import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createStrangers } from '../../src/http/strangers.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** Connections to a server that lets at most `limit` wait; a byte stands for a request. */
const open = async (limit: number) => {
  const strangers = createStrangers(limit)
  const server = createServer((socket) => {
    socket.once('close', strangers.add(socket))
    socket.on('error', () => {})
    socket.once('data', () => {
      strangers.remove(socket)
      socket.write('.')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  closers.push(() => server.close())
  return async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    closers.push(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
}

const ask = async (socket: Socket) => {
  socket.write('?')
  await once(socket, 'data')
}

// ATTACKS 164, 185
describe('connections that ask for nothing', () => {
  test('make way for others, whoever has waited longest first', async () => {
    const connectOne = await open(3)
    const first = await connectOne()
    const closed = once(first, 'close')
    const others = [await connectOne(), await connectOne(), await connectOne()]
    await closed
    for (const socket of others) await ask(socket)
  })

  test('drive out nobody who has asked', async () => {
    const connectOne = await open(2)
    const guest = await connectOne()
    await ask(guest)
    for (let n = 0; n < 50; n++) await connectOne()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(guest.destroyed).toBe(false)
  })

  test('that end by themselves are forgotten', async () => {
    const connectOne = await open(2)
    const patient = await connectOne()
    for (let n = 0; n < 20; n++) {
      const brief = await connectOne()
      brief.destroy()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(patient.destroyed).toBe(false)
    await ask(patient)
  })
})
