import { explain } from './explain.ts'
import { explainToCaller } from './explain-caller.ts'
import { listOwnQuestions, listOwnRules } from './own-rules.ts'
import { readPerson } from './person.ts'

/** What the door needs to explain decisions. */
export const explainer = Object.freeze({
  explain,
  explainToCaller,
  listOwnQuestions,
  listOwnRules,
  readPerson,
})

export type Explainer = typeof explainer
