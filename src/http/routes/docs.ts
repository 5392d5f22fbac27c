import { z } from '@hono/zod-openapi'
import { type Described, formatDocs } from '../pages/docs.ts'
import { answerPage } from '../pages/layout.ts'
import type { PublicRoute } from './index.ts'

/** `GET /docs`: the OpenAPI document as a page to read, made by us, with nothing loaded from elsewhere. */
export const createDocsRoute = (describe: () => Described): PublicRoute => {
  let page: ReturnType<typeof formatDocs> | undefined
  return {
    method: 'get',
    path: '/docs',
    access: 'public',
    summary: 'This description, to read',
    description: 'The routes of `/openapi.json` with who may call them, what they take and answer.',
    answers: [
      {
        status: 200,
        description: 'A page to read.',
        contentType: 'text/html',
        schema: z.string(),
        example: '<!doctype html>…',
      },
    ],
    failures: [],
    handle(c) {
      page ??= formatDocs(describe())
      return answerPage(c, page)
    },
  }
}
