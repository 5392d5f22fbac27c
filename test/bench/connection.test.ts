import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { openConnection } from './connection.ts'

/** A server that answers each token in its own way. */
const answers: Readonly<Record<string, RequestListener>> = {
  length: (_request, response) => response.writeHead(201).end('{"a":1}'),
  chunks: (_request, response) => {
    response.writeHead(403)
    response.write('0\r\n')
    setTimeout(() => response.end('0\r\n\r'), 5)
  },
  empty: (_request, response) => response.writeHead(204).end(),
  cut: (_request, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('half')
    setTimeout(() => response.destroy(), 5)
  },
}

const withServer = async (run: (url: string) => Promise<void>) => {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      answers[request.headers.authorization ?? '']?.(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const open = (url: string) =>
  openConnection({
    url,
    publicKey: '',
    adapter: {
      issued: 201,
      formatRequest: ({ token }) => ({
        path: '/',
        headers: { authorization: token },
        body: '{"é":1}',
      }),
    },
    mintTokens: () => [],
    readUsage: () => undefined,
  })

test('the load client reads answers of every kind, one after another on one connection', () =>
  withServer(async (url) => {
    const connection = await open(url)
    const found: number[] = []
    for (const token of ['length', 'chunks', 'empty', 'length']) {
      found.push(await connection.send(token))
    }
    expect(found).toEqual([201, 403, 204, 201])
    connection.close()
  }))

test('the load client takes no half answer for a whole one', () =>
  withServer(async (url) => {
    const connection = await open(url)
    await expect(connection.send('cut')).rejects.toThrow('the server has closed the connection')
  }))
