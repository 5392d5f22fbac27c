import { explain } from './explain.ts'
import { explainToCaller } from './explain-caller.ts'
import { readPerson } from './person.ts'

/** What the door needs to explain decisions. */
export const explainer = Object.freeze({ explain, explainToCaller, readPerson })

export type Explainer = typeof explainer
