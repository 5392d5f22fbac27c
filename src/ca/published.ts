/**
 * Public keys whose private halves stand in documents anyone can read. Whoever copies one out of
 * an example trusts everyone with their hosts, so none of them becomes a CA.
 */
const published: ReadonlyMap<string, string> = new Map([
  ['SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8', 'RFC 8032 section 7.1, and RFC 8037'],
  ['SHA256:F34nin7tcaYH6WR5LSWSfj6weFBPfBpuyUUoPFP9YjA', 'RFC 8032 section 7.1'],
  ['SHA256:s3Z2A+mldeflHo5TMMEUA7MlkMg96xvtqH9DGLHHZmE', 'RFC 8032 section 7.1'],
  ['SHA256:ygncDm+bRKbQfQFmIZIy7G1yLvpOATCb+D1dWLd+WwQ', 'RFC 8032 section 7.1'],
  ['SHA256:ebCT4wkJOqO5AIlHG03cHvn3Cr3ZZEEh8m81duHhR3Q', 'RFC 8410 section 10.3'],
  ['SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo', 'the seed of 32 zero bytes'],
  ['SHA256:WkvqjnyPAeC0cbPErYiGP9vqHdgL1MqqvPdIe3lvHgI', 'the insecure key of Vagrant'],
])

/** Where this CA key's private half is published, by its fingerprint; undefined for any other key. */
export const findPublished = (fingerprint: string): string | undefined => published.get(fingerprint)
