/**
 * What can be wrong with bytes from the network. `truncated`: they end too soon, which on a stream may only mean that more will come. `too_large`: they
 * claim or become more than a limit allows. `forbidden`: well made, but not what this cluster agreed on (plain where keys are set, another label).
 */
export type WireProblem = 'truncated' | 'malformed' | 'too_large' | 'forbidden' | 'undecryptable';

/** Bytes that are no message. Expected at every moment: whoever receives counts it by `problem` and drops the bytes. Has no stack, which would cost more than the bytes did. */
export class WireError extends Error {
  readonly problem: WireProblem;
  /** Of a truncated one: so many bytes, from the start of what was read, have to be there before another try is worth it. */
  readonly neededBytes: number;

  constructor(problem: WireProblem, message: string, neededBytes = 0) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'WireError';
    this.problem = problem;
    this.neededBytes = neededBytes;
  }
}

export function malformed(message: string): WireError {
  return new WireError('malformed', message);
}
