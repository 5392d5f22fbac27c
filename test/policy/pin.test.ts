import { describe, expect, test } from 'vitest'
import { formatProblem } from '../../src/lib/yaml.ts'
import { type Named, pinFiles } from '../../src/policy/pin.ts'

const ids: Readonly<Record<string, string>> = {
  'user github.com Maya': '583231',
  'org github.com acme': '9001',
  'team github.com acme/platform': '70',
  'org ghe.example.com acme': '4',
}
const findId = async ({ kind, server, name }: Named) => ids[`${kind} ${server} ${name}`]

const pin = async (text: string) => {
  const { texts, problems, pins } = await pinFiles({ 'a.yaml': text }, findId)
  return { text: texts['a.yaml'], problems: problems.map(formatProblem), pins }
}

describe('ids are written beside names', () => {
  test.each([
    [
      'in one line',
      'identities:\n  a: [{ github: { login: Maya } }]   # she\n',
      'identities:\n  a: [{ github: { login: Maya, id: "583231" } }]   # she\n',
    ],
    [
      'in lines of their own, where comments stay',
      'rules:\n  - who:\n      - github:\n          team: Acme/platform   # us\n          app: Iv1.1\n',
      'rules:\n  - who:\n      - github:\n          teamId: "70"\n          orgId: "9001"\n          team: Acme/platform   # us\n          app: Iv1.1\n',
    ],
    [
      'of roles, exceptions and organisations',
      'roles: { admin: [{ github: { org: acme } }] }\nrules:\n- except: [{github: {org: "acme"}}]\n',
      'roles: { admin: [{ github: { org: acme, orgId: "9001" } }] }\nrules:\n- except: [{github: {org: "acme", orgId: "9001"}}]\n',
    ],
    [
      'of the server that is named',
      'identities:\n  a:\n    - github: { org: acme, server: ghe.example.com }\n',
      'identities:\n  a:\n    - github: { org: acme, orgId: "4", server: ghe.example.com }\n',
    ],
    [
      'of identities that are called tests',
      'identities:\n  tests: [{ github: { org: acme } }]\n',
      'identities:\n  tests: [{ github: { org: acme, orgId: "9001" } }]\n',
    ],
    [
      'only where there is none',
      'identities:\n  a:\n    - github: { team: acme/platform, teamId: "70" }\n',
      'identities:\n  a:\n    - github: { team: acme/platform, orgId: "9001", teamId: "70" }\n',
    ],
    [
      'in the tests that name the same, and in no other',
      'identities:\n  a: [{ github: { team: acme/platform } }]\ntests:\n  - who: { github: { teams: [acme/platform, other/dev], orgs: [acme, other] } }\n',
      'identities:\n  a: [{ github: { team: acme/platform, teamId: "70", orgId: "9001" } }]\ntests:\n  - who: { github: { teams: [{ team: acme/platform, teamId: "70", orgId: "9001" }, other/dev], orgs: [{ org: acme, orgId: "9001" }, other] } }\n',
    ],
  ])('%s', async (_, text, wanted) => {
    expect(await pin(text)).toMatchObject({ text: wanted, problems: [] })
    // And then there is nothing more to do.
    expect(await pin(wanted)).toEqual({ text: undefined, problems: [], pins: [] })
  })

  test('with windows’ line ends too', async () => {
    expect(await pin('identities:\r\n  a: [{ github: { org: acme } }]\r\n')).toMatchObject({
      text: 'identities:\r\n  a: [{ github: { org: acme, orgId: "9001" } }]\r\n',
    })
  })
})

describe('nothing is written', () => {
  test.each([
    [
      'of a name that nobody has',
      'identities:\n  a: [{ github: { login: nobody } }]\n',
      'a.yaml:2:26: there is no login nobody on github.com, or none that may be seen',
    ],
    [
      'over an id that is another',
      'identities:\n  a: [{ github: { login: Maya, id: "1" } }]\n',
      'a.yaml:2:26: the login Maya has the id 583231 today, and id here is 1: the name has changed hands, or the id is wrong',
    ],
    [
      'into a file that is no YAML of ours',
      'identities:\n  a: &x [{ github: { login: Maya } }]\n',
      'a.yaml:2:9: anchors are not read; write the value out',
    ],
  ])('%s', async (_, text, problem) => {
    expect(await pin(text)).toEqual({ text: undefined, pins: [], problems: [problem] })
  })
})
