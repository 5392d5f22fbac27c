/** The first policy `postern init` writes: it loads without a warning, and names nobody real. */
export const policyTemplate = `# yaml-language-server: $schema=../schemas/policy.json
# A policy: who may have a certificate for which host and login. Nothing matches: refused.
# Check it with: postern policy check
identities:
  platform:
    - oidc: { issuer: https://idp.example.com, groups: [platform] }
    # - github: { team: acme/platform }

rules:
  - name: deploy-to-web
    who: [{ identities: platform }]
    hosts: ["web-*.example.com"]
    logins: [deploy]
    extensions: [permit-pty]
    ttl: 10m

# Asked at every load: a policy whose tests fail is not loaded.
tests:
  - name: the platform team deploys to the web hosts
    who: { oidc: { issuer: https://idp.example.com, subject: u-1, groups: [platform] } }
    ask: { host: web-1.example.com, login: deploy }
    expect: { allow: deploy-to-web, ttl: 10m, principals: [deploy@web-1.example.com] }
  - name: and nobody else does
    who: { oidc: { issuer: https://idp.example.com, subject: u-2, groups: [sales] } }
    ask: { host: web-1.example.com, login: deploy }
    expect: deny
`
