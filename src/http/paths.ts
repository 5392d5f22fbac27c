/**
 * Finds which of the declared paths a request is for. A `{name}` in one stands for one segment, never an
 * empty one; a path without any goes before one that has some. Nothing is decoded.
 */
export const createFindPath = (
  paths: readonly string[],
): ((path: string) => string | undefined) => {
  const literal = new Set(paths.filter((path) => !path.includes('{')))
  const patterns = [...new Set(paths)]
    .filter((path) => path.includes('{'))
    .map((path) => ({ path, segments: path.split('/') }))
  return (path) => {
    if (literal.has(path)) return path
    const asked = path.split('/')
    return patterns.find(
      ({ segments }) =>
        segments.length === asked.length &&
        segments.every((segment, at) =>
          segment.startsWith('{') ? asked[at] !== '' : segment === asked[at],
        ),
    )?.path
  }
}

/** The same path as Hono's router writes it: `:name` for `{name}`. */
export const formatPattern = (path: string): string => path.replace(/\{([a-zA-Z]+)\}/g, ':$1')
