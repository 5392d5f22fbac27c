import { z } from '@hono/zod-openapi'
import { html } from 'hono/html'
import { help } from '../../errors/help.ts'
import { AppError, type Code, codes, statusOf } from '../../errors.ts'
import { answerPage, formatText, type Markup } from '../pages/layout.ts'
import type { PublicRoute } from './index.ts'

const names = Object.keys(codes) as readonly Code[]

const page = {
  status: 200,
  description: 'A page to read.',
  contentType: 'text/html',
  schema: z.string(),
  example: '<!doctype html>…',
} as const

const formatProblem = (code: Code): Markup => {
  const { happened, remedy, who } = help[code]
  return html`<p class="soft"><a href="/problems">Problems</a></p>
<h1>${codes[code].title}</h1>
<p><code>${code}</code> <span class="soft">HTTP ${statusOf(code)}</span></p>
<h3>What happened</h3>
<p>${formatText(happened)}</p>
<h3>What to do</h3>
<p>${formatText(remedy)}</p>
<h3>Who can do it</h3>
<p>${formatText(who)}</p>
<p class="soft">Offline: <code>postern help ${code}</code></p>`
}

const list = html`<h1>Problems</h1>
<p>Every failure is answered as <code>application/problem+json</code> (RFC 9457). Programs switch on its
<code>code</code>, whose meaning never changes; its <code>type</code> is one of these pages.</p>
<table>
<tr><th>code</th><th>HTTP</th><th></th></tr>
${names.map(
  (
    code,
  ) => html`<tr><td><a href="/problems/${code}"><code>${code}</code></a></td><td>${statusOf(code)}</td><td>${codes[code].title}</td></tr>
`,
)}</table>`

/** `GET /problems` and `GET /problems/{code}`: what the `type` of every problem leads to. */
export const problemRoutes: readonly PublicRoute[] = [
  {
    method: 'get',
    path: '/problems',
    access: 'public',
    summary: 'All problems',
    description: 'Every code there is, with a page each.',
    answers: [page],
    failures: [],
    handle: (c) => answerPage(c, { title: 'Problems', main: list }),
  },
  {
    method: 'get',
    path: '/problems/{code}',
    access: 'public',
    summary: 'One problem',
    description:
      'What happened, what to do about it, and who can. `postern help CODE` says the same.',
    answers: [page],
    failures: ['not_found'],
    handle(c) {
      const code = names.find((name) => name === c.req.param('code'))
      if (code === undefined) {
        throw new AppError('not_found', 'There is no problem of this code: /problems lists all.')
      }
      return answerPage(c, { title: codes[code].title, main: formatProblem(code) })
    },
  },
]
