/** What a person who meets a code wants to know, beside the sentence that came with it. */
export interface Help {
  /** What happened, and why this is refused. */
  readonly happened: string
  /** What to do about it. */
  readonly remedy: string
  /** Who can do that. */
  readonly who: string
}

export const caller = 'You, or whoever wrote the program that asked.'
export const policyAdmin = 'Whoever keeps the policy files of this service.'
export const admin = 'An administrator of this service.'
export const provider = 'You, at your identity provider.'
