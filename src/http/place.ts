import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { type AddressInfo, connect, type Server } from 'node:net'
import { AppError } from '../errors.ts'

/** Where a server listens. */
export type Place =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'unix'
      readonly path: string
      /** Of the socket's file. Default 0660: the owner and the group, which is the proxy's. */
      readonly mode?: number
    }

/** Resolves once connections are taken. Code: `invalid_config` where the place cannot be had. */
export const openPlace = async (server: Server, place: Place): Promise<void> => {
  if (place.kind === 'unix') await removeStaleSocket(place.path)
  const where = place.kind === 'tcp' ? { host: place.host, port: place.port } : { path: place.path }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch((cause: NodeJS.ErrnoException) => {
    const text = place.kind === 'tcp' ? `${place.host}:${place.port}` : `unix:${place.path}`
    throw new AppError('invalid_config', `listen: ${text} cannot be listened on (${cause.code}).`, {
      hint: 'Change listen in postern.yaml, or end what listens there.',
      cause,
    })
  })
  // The file mode is the socket's access control.
  if (place.kind === 'unix') chmodSync(place.path, place.mode ?? 0o660)
}

/** Removes a socket nobody listens on any more, as a kill leaves it; never anything but a socket. */
const removeStaleSocket = async (path: string): Promise<void> => {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return
  const isLive = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('error', () => resolve(false))
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
  })
  if (!isLive) unlinkSync(path)
}

/** The address under which the server is reached. */
export const formatUrl = (server: Server, place: Place, isTls: boolean): string => {
  if (place.kind === 'unix') return `unix:${place.path}`
  const { port } = server.address() as AddressInfo
  const host = place.host.includes(':') ? `[${place.host.replace(/[[\]]/g, '')}]` : place.host
  return `${isTls ? 'https' : 'http'}://${host}:${port}`
}
