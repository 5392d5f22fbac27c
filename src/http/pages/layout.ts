import { hash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { HttpContext } from '../context.ts'
import { answer } from '../errors.ts'

/** Markup whose values are escaped already. */
export type Markup = ReturnType<typeof html>

/** All there is to see: no script, no font and no picture is loaded, from here or from elsewhere. */
const style = `
:root { color-scheme: light dark; --ink: #1d2429; --soft: #5c6a73; --line: #d9e0e4; --paper: #fff; --tint: #f4f6f7; --link: #0b5fa5 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ec; --soft: #9dabb4; --line: #354049; --paper: #14191d; --tint: #1c2328; --link: #7cbcf5 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
.frame { display: flex; max-width: 76rem; margin: 0 auto }
nav { flex: 0 0 17rem; padding: 1.5rem 1rem; position: sticky; top: 0; height: 100vh; overflow: auto; border-right: 1px solid var(--line); font-size: .875rem }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0 }
nav li a { display: block; padding: .15rem 0; overflow-wrap: anywhere }
main { flex: 1; min-width: 0; max-width: 54rem; padding: 2rem 2rem 6rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem }
h2 { font-size: 1.15rem; margin: 3rem 0 .5rem; padding-top: 1.25rem; border-top: 1px solid var(--line); overflow-wrap: anywhere }
h3 { font-size: .95rem; margin: 1.25rem 0 .35rem }
a { color: var(--link); text-decoration: none }
a:hover { text-decoration: underline }
code, pre { font: .86em/1.5 ui-monospace, monospace }
code { background: var(--tint); padding: .1em .3em; border-radius: 3px }
pre { background: var(--tint); padding: .75rem 1rem; overflow: auto; border-radius: 6px; margin: .35rem 0 }
pre code { background: none; padding: 0 }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: 600; color: var(--soft); white-space: nowrap }
.soft { color: var(--soft) }
.method { display: inline-block; min-width: 4.2em; font: 600 .8em ui-monospace, monospace; color: var(--soft) }
@media (max-width: 52rem) {
  .frame { display: block }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line) }
  main { padding: 1.25rem 1rem 4rem }
}
`

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Text of ours with its `code` in backticks shown as code. */
export const formatText = (text: string): Markup =>
  html`${text.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part))}`

/** Answers a whole page: what stands beside it, and what it says. */
export const answerPage = async (
  c: HttpContext,
  page: { readonly title: string; readonly nav?: Markup; readonly main: Markup },
): Promise<Response> => {
  const text = await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${page.title} – Postern</title>
<style>${raw(style)}</style>
</head>
<body>
<div class="frame">
${page.nav === undefined ? '' : html`<nav>${page.nav}</nav>`}
<main>${page.main}</main>
</div>
</body>
</html>
`
  return answer(c, 200, 'text/html; charset=utf-8', String(text), {
    'content-security-policy': policy,
  })
}
