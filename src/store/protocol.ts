import type { Row } from '../audit/store.ts'
import type { Code } from '../errors.ts'
import type { WholeStore } from './sqlite.ts'

/** What may be asked of the store's worker: its members, by name. */
export type Method = keyof WholeStore

/** A call, and its answer by the same number: what the two threads say to one another. */
export interface Call {
  readonly id: number
  readonly method: Method
  readonly args: readonly unknown[]
}

export interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly failure?: Failure
}

/** Rows on their way to the worker: number, body and hash of each in turn, which copies faster than objects. */
export type FlatRows = readonly (number | string)[]

export const formatRows = (rows: readonly Row[]): FlatRows => {
  const flat: (number | string)[] = []
  for (const { seq, body, hash } of rows) flat.push(seq, body, hash)
  return flat
}

export const parseRows = (flat: FlatRows): readonly Row[] => {
  const rows: Row[] = []
  for (let at = 0; at < flat.length; at += 3) {
    rows.push({ seq: flat[at], body: flat[at + 1], hash: flat[at + 2] } as Row)
  }
  return rows
}

/** An AppError as plain data: a class does not survive the way between threads. */
export interface Failure {
  readonly code: Code
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}

/** The first call's number is 1: this one answers the opening of the store. */
export const openingId = 0
