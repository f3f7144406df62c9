import type { StepScope } from '../../protos/gen/fractory/v1/capability.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import { budgetExhausted } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { InvocationContext } from '../../services/adaptor.js';

/** Context of one invocation; the signal and its timer exist only if the operation asks for them. */
export class KernelInvocationContext implements InvocationContext {
  readonly budgetMs: number;
  readonly step: StepScope | undefined;
  readonly log: Logger;
  readonly #stopping: AbortSignal;
  #scope: AbortScope | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(budgetMs: number, step: StepScope | undefined, log: Logger, stopping: AbortSignal) {
    this.budgetMs = budgetMs;
    this.step = step;
    this.log = log;
    this.#stopping = stopping;
  }

  get signal(): AbortSignal {
    if (!this.#scope) {
      const scope = new AbortScope(this.#stopping);
      this.#timer = setTimeout(() => {
        scope.abort(
          budgetExhausted(
            `the time of the run is used up; ${String(Math.round(this.budgetMs))} ms of it were left when this step began`,
          ),
        );
      }, this.budgetMs);
      this.#scope = scope;
    }
    return this.#scope.signal;
  }

  /** The operation has ended: nothing aborts it any more. */
  end(): void {
    this.#scope?.end();
    clearTimeout(this.#timer);
  }
}
