/** What `postern init` writes. Lines that begin with `#` and a letter are settings to uncomment. */
export const configTemplate = `# yaml-language-server: $schema=schemas/config.json
# The configuration of Postern. Each setting is here; those behind a "#" show their default or an
# example. An unknown key is an error. Relative paths are relative to this file. Secrets are never in
# it: a key that ends in File names a file that only the service can read (chmod 600).

# host:port or unix:/path. Beyond loopback it needs tls, or the proxies in front of it by address.
listen: 127.0.0.1:8422

# The URL clients use; requests that name another host are refused.
#publicUrl: https://postern.example.com

#tls: { cert: tls.crt, key: tls.key }
#trustedProxies: [10.2.0.7]

# The log, postern.db, is in dataDir; every *.yaml directly in policyDir is the policy.
dataDir: data
policyDir: policies

# Certificates only for hosts that the policy lists or that have enrolled.
#knownHostsOnly: true

# A rate, or off. perAddress counts refused and unauthenticated requests, perIdentity all.
#limits: { perAddress: 600/m, perIdentity: 600/m, inFlight: 1024 }

ca:
  # A file, or agent:SHA256:… for a key in an ssh-agent (a token, a TPM).
  userKey: user_ca
  #userKeyPassphraseFile: user_ca.passphrase
  #agentSocket: /run/postern/agent.sock
  # The longest life any rule may give, and how far back a certificate begins for slow clocks.
  maxTtl: 1h
  backdate: 60s

# Who may ask. Without one provider, serve refuses to start.
#identity:
  #oidc:
    #- issuer: https://idp.example.com
      # Ours alone: where two deployments share an audience, a token for one opens the other.
      #audience: [https://postern.example.com, 0oa1b2c3d4]
      #algorithms: [RS256, ES256, EdDSA]
      #groupsClaim: groups
      #nameClaim: preferred_username
      # What proves a second factor: { amr: […] }, { acr: […] }, or enforced.
      #mfa: { amr: [mfa] }
      #maxTokenAge: 1h
      # For postern login: a public client, which is one of the audience too; browser, device or both.
      #login: { clientId: 0oa1b2c3d4, flows: [browser] }
  #github:
    #- clientId: Iv1.0123456789abcdef
      #clientSecretFile: github-secret
      #type: oauth-app
      #apiUrl: https://api.github.com

# Every signed checkpoint of the log goes to this file: best on another disk, or in a synced folder.
#audit: { checkpoints: data/checkpoints }

# Prometheus, on a listener of its own.
#metrics: { listen: 127.0.0.1:9422 }

# debug, info, warn or error; JSON lines on stderr.
#log: { level: info }
`
