/** What a key means, and one way to write it, as it stands in a file. */
export interface Word {
  readonly text: string
  readonly example: string
}

/** A word for every key. */
export type Words<T> = { readonly [K in keyof T]-?: Word }
