/** HTTP, as a parameter: whoever sends requests asks for a Fetch, so a test can answer them. */
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>

/** The platform's own. */
export const systemFetch: Fetch = (url, init) => fetch(url, init)
