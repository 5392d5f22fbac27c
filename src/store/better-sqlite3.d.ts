/** The few members of better-sqlite3 that we use; it brings no types of its own. */
declare module 'better-sqlite3' {
  export interface Statement {
    readonly reader: boolean
    run(...parameters: readonly unknown[]): { readonly changes: number; lastInsertRowid: number }
    get(...parameters: readonly unknown[]): unknown
    all(...parameters: readonly unknown[]): unknown[]
    iterate(...parameters: readonly unknown[]): IterableIterator<unknown>
  }

  export interface Transaction<Args extends readonly unknown[]> {
    /** Runs the function inside BEGIN IMMEDIATE; a throw rolls back. */
    immediate(...args: Args): void
  }

  export default class Database {
    /** A path, or the bytes of a database, which is then held in memory. */
    constructor(
      source: string | Buffer,
      options?: {
        readonly readonly?: boolean
        readonly fileMustExist?: boolean
        /** Milliseconds to wait for another connection's lock. */
        readonly timeout?: number
      },
    )
    prepare(sql: string): Statement
    exec(sql: string): void
    pragma(source: string, options: { readonly simple: true }): unknown
    transaction<Args extends readonly unknown[]>(work: (...args: Args) => void): Transaction<Args>
    close(): void
  }
}
