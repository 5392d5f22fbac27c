import { html } from 'hono/html'
import type { formatDocument } from '../openapi.ts'
import type { Route } from '../routes/index.ts'
import { formatText, type Markup } from './layout.ts'

/** The OpenAPI document, and the routes it was made from. */
export interface Described {
  readonly document: ReturnType<typeof formatDocument>
  readonly table: readonly Pick<Route, 'method' | 'path' | 'access'>[]
}

/** As much of OpenAPI 3.1 as our own document has. */
interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly description?: string
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}
interface Media {
  readonly schema?: Schema
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, unknown>>
}
interface Operation {
  readonly summary?: string
  readonly description?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly description?: string
    readonly schema?: Schema & { readonly description?: string }
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> }
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Record<string, Media> }>
  >
}

/** The page: an index beside, and a section for each route. */
export const formatDocs = (
  given: Described,
): { readonly title: string; readonly nav: Markup; readonly main: Markup } => {
  const { info, servers } = given.document
  const url = servers?.[0]?.url ?? ''
  const sections = given.table.map(({ method, path, access }) => ({
    method,
    path,
    access,
    id: `${method}${path.replace(/[^A-Za-z0-9]+/g, '-')}`,
    operation: findOperation(given.document, path, method),
  }))
  const nav = html`<ul><li><a href="#top">${info.title} ${info.version}</a></li></ul>
<ul>${sections.map(
    ({ method, path, id }) =>
      html`<li><a href="#${id}"><span class="method">${method.toUpperCase()}</span> ${path}</a></li>`,
  )}</ul>
<ul><li><a href="/problems">Problems</a></li><li><a href="/openapi.json">openapi.json</a></li></ul>`
  const main = html`<h1 id="top">${info.title}</h1>
<p>${info.description}</p>
<p class="soft">Version ${info.version}, at <code>${url}</code>. Times are RFC 3339 in UTC, serials are strings,
and every failure has a <code>code</code> with <a href="/problems">a page of its own</a>.</p>
${sections.map(({ method, path, access, id, operation }) =>
  operation === undefined
    ? ''
    : html`<h2 id="${id}"><span class="method">${method.toUpperCase()}</span> ${path}</h2>
${formatOperation({ method, path, access, url, operation, schemas: listSchemas(given.document) })}`,
)}`
  return { title: 'API', nav, main }
}

type Schemas = Readonly<Record<string, Schema>>

const listSchemas = ({ components }: Described['document']): Schemas =>
  (components?.schemas ?? {}) as Schemas

const findOperation = (
  { paths }: Described['document'],
  path: string,
  method: Route['method'],
): Operation | undefined => (paths?.[path] as Record<string, Operation> | undefined)?.[method]

/** Who may call a route, in words. */
const formatAccess = (access: Route['access']): string => {
  if (access === 'public') return 'Anybody.'
  if (access === 'identity') return 'Anybody with an accepted token.'
  if (access === 'enrolment') return 'A host, with the token of an invitation.'
  if (access === 'own') {
    return 'Anybody with an accepted token, for what is their own; for all else the role admin, or on the machine itself the admin socket.'
  }
  return `The role ${access.role}${access.role === 'auditor' ? ', or admin' : ''}; on the machine itself the admin socket.`
}

const formatOperation = (given: {
  readonly method: string
  readonly path: string
  readonly access: Route['access']
  readonly url: string
  readonly operation: Operation
  readonly schemas: Schemas
}): Markup => {
  const { operation, access, schemas } = given
  const { parameters = [], requestBody, responses } = operation
  const [type, body] = Object.entries(requestBody?.content ?? {})[0] ?? []
  const answers = Object.entries(responses)
  return html`<p><strong>${operation.summary}.</strong> ${formatText(operation.description ?? '')}</p>
<p class="soft">Who may call it: ${formatAccess(access)}</p>
${parameters.length === 0 ? '' : html`<h3>Parameters</h3>${formatParameters(parameters)}`}
${body?.schema === undefined ? '' : html`<h3>Body</h3><p class="soft">${type}</p>${formatMembersOf(body.schema, schemas)}`}
<h3>Example</h3>
<pre><code>${formatCurl(given, type, body?.example)}</code></pre>
<h3>Answers</h3>
${answers.filter(([status]) => Number(status) < 400).map(([status, answer]) => formatAnswer(status, answer, schemas))}
<h3>Failures</h3>
${formatFailures(answers.filter(([status]) => Number(status) >= 400))}`
}

const formatParameters = (parameters: NonNullable<Operation['parameters']>): Markup =>
  html`<table>${parameters.map(
    ({ name, in: place, description, schema }) =>
      html`<tr><td><code>${name}</code></td><td class="soft">${place}</td><td>${formatText(description ?? schema?.description ?? '')}</td></tr>`,
  )}</table>`

const resolve = (schema: Schema, schemas: Schemas): Schema =>
  schema.$ref === undefined ? schema : (schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {})

const formatMembers = (schema: Schema, schemas: Schemas): Markup => {
  const { properties = {}, required = [] } = schema
  const rows = Object.entries(properties).map(([name, member]) => {
    const { description } = resolve(member, schemas)
    return html`<tr><td><code>${name}</code></td><td class="soft">${formatType(member, schemas)}${
      required.includes(name) ? '' : html`<br>optional`
    }</td><td>${formatText(member.description ?? description ?? '')}</td></tr>`
  })
  return html`<table>${rows}</table>`
}

const formatType = (given: Schema, schemas: Schemas): string => {
  const { type, enum: values, format, items } = resolve(given, schemas)
  if (values !== undefined) return values.join(' | ')
  if (items !== undefined) return `list of ${formatType(items, schemas)}`
  return [type ?? 'any', ...(format === undefined ? [] : [format])].flat().join(' ')
}

const formatAnswer = (
  status: string,
  answer: Operation['responses'][string],
  schemas: Schemas,
): Markup =>
  html`<p><strong>${status}</strong> ${formatText(answer.description)}</p>
${Object.entries(answer.content ?? {}).map(
  ([type, { schema, example }]) =>
    html`${schema === undefined ? '' : formatMembersOf(schema, schemas)}<p class="soft">${type}</p>
<pre><code>${typeof example === 'string' ? example : JSON.stringify(example, null, 2)}</code></pre>`,
)}`

const formatMembersOf = (schema: Schema, schemas: Schemas): Markup | '' => {
  const found = resolve(schema, schemas)
  return found.properties === undefined ? '' : formatMembers(found, schemas)
}

const formatFailures = (answers: readonly (readonly [string, Operation['responses'][string]])[]) =>
  html`<table>${answers.map(([status, { content }]) => {
    const codes = Object.keys(content?.['application/problem+json']?.examples ?? {})
    return html`<tr><td>${status}</td><td>${codes.map(
      (code) => html`<a href="/problems/${code}"><code>${code}</code></a> `,
    )}</td></tr>`
  })}</table>`

/** What to paste into a terminal. */
const formatCurl = (
  given: { method: string; path: string; access: Route['access']; url: string },
  type: string | undefined,
  example: unknown,
): string => {
  const { method, path, access, url } = given
  return [
    `curl -fsS${method === 'get' ? '' : ` -X ${method.toUpperCase()}`} '${url}${path}'`,
    ...(access === 'public' ? [] : [`-H "Authorization: Bearer $TOKEN"`]),
    ...(type === undefined
      ? []
      : [
          `-H 'Content-Type: ${type}'`,
          `--data-binary '${typeof example === 'string' ? example : JSON.stringify(example)}'`,
        ]),
  ].join(' \\\n  ')
}
