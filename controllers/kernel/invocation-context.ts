import { status } from '@grpc/grpc-js';

import type { StepScope } from '../../protos/gen/fractory/v1/caveat.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { toBlob } from '../../protos/values.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import { budgetExhausted, cancelled, FractoryError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { InvocationContext } from '../../services/adaptor.js';
import type { MemoryAccess } from './memory/access.js';

export interface ContextOptions {
  /** Time left, ms. */
  readonly budgetMs: number;
  /** Time for one try; undefined = as long as the budget. */
  readonly timeoutMs: number | undefined;
  readonly step: StepScope | undefined;
  readonly log: Logger;
  readonly stopping: AbortSignal;
  readonly memory: MemoryAccess;
}

/** Context of one try of an operation; the signal and its timer exist only if somebody asks for them. */
export class KernelInvocationContext implements InvocationContext {
  readonly step: StepScope | undefined;
  readonly log: Logger;
  readonly #options: ContextOptions;
  #scope: AbortScope | undefined;
  #timer: NodeJS.Timeout | undefined;
  #abortedBy: FractoryError | undefined;
  #hasEnded = false;

  constructor(options: ContextOptions) {
    this.step = options.step;
    this.log = options.log;
    this.#options = options;
  }

  get budgetMs(): number {
    const { budgetMs, timeoutMs } = this.#options;
    return timeoutMs === undefined ? budgetMs : Math.min(budgetMs, timeoutMs);
  }

  get signal(): AbortSignal {
    if (this.#scope) return this.#scope.signal;
    // What asks now goes on though its operation has ended: nothing is left that could end it later.
    if (this.#hasEnded)
      return AbortSignal.abort(this.#abortedBy ?? cancelled('the step has ended'));
    const scope = new AbortScope(this.#options.stopping);
    this.#scope = scope;
    scope.endsBy(Date.now() + this.budgetMs);
    if (this.#abortedBy) scope.abort(this.#abortedBy);
    else
      this.#timer = setTimeout(() => {
        scope.abort(outOfTime(this.#options));
      }, this.budgetMs);
    return scope.signal;
  }

  get expiresAtMs(): number {
    return Math.ceil(Date.now() + this.#options.budgetMs);
  }

  stream(argument: Value): AsyncIterable<Uint8Array> {
    if (argument.kind?.$case === 'memory')
      return this.#options.memory.stream(argument.kind.value, this.signal);
    return oneChunk(argument);
  }

  /** Nobody waits for the operation any more. */
  abort(reason: FractoryError): void {
    this.#abortedBy ??= reason;
    this.#scope?.abort(reason);
  }

  /** The operation has ended: nothing aborts it any more. */
  end(): void {
    this.#hasEnded = true;
    this.#scope?.end();
    clearTimeout(this.#timer);
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream that is there already
async function* oneChunk(value: Value): AsyncGenerator<Uint8Array> {
  yield toBlob(value).data;
}

function outOfTime({ budgetMs, timeoutMs }: ContextOptions): FractoryError {
  if (timeoutMs !== undefined && timeoutMs < budgetMs)
    return new FractoryError(
      status.DEADLINE_EXCEEDED,
      'STEP_TIMEOUT',
      `the step took longer than its timeout of ${String(timeoutMs)} ms`,
    );
  return budgetExhausted(
    `the time of the run is used up; ${String(Math.round(budgetMs))} ms of it were left when this step began`,
  );
}
