import { createSsh2Transport } from '../../src/client/transports/ssh2.ts'
import { describeTransport } from '../contracts/transport.ts'

describeTransport('ssh2', createSsh2Transport())
