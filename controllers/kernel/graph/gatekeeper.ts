import type { Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import { toFailure } from '../../../protos/status.js';
import type { FractoryError } from '../../../runtime/errors.js';
import type { Clock } from '../../../runtime/clock.js';
import type { Allowance } from '../capabilities/caveats.js';
import type { Activities } from './activities.js';
import { FAILURE_BUDGET_MS } from './continuer.js';
import type { Continuer } from './continuer.js';
import { Gates, incomplete, NOTHING } from './gates.js';
import type { Gate } from './gates.js';
import { stepIdIn } from './step-id.js';

export interface GatekeeperParts {
  readonly member: string;
  readonly clock: Clock;
  readonly activities: Activities;
  readonly continuer: Continuer;
}

/** The gates of one node with their clocks: a gate that is never filled fails its run at the end of its budget, and leaves nothing behind. */
export class Gatekeeper {
  readonly #parts: GatekeeperParts;
  readonly #gates = new Gates();

  constructor(parts: GatekeeperParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#gates.size;
  }

  get waiting(): number {
    return this.#gates.waiting;
  }

  /** The invocation with all inputs, once they are there; undefined while the step waits and after it has begun. */
  pass(
    invocation: Invocation,
    allowance: Allowance,
    inputs: readonly string[],
  ): Invocation | undefined {
    const key = keyOf(invocation);
    const contribution = this.#gates.contribute(key, inputs, invocation);
    if (contribution.kind === 'too late') return undefined;
    const { gate } = contribution;
    if (contribution.kind === 'waits') {
      if (contribution.isNew) this.#keep(key, gate, allowance);
      return undefined;
    }
    // A gate with one input fires at once; it is kept so that alternatives find it shut.
    if (gate.unregister === NOTHING) this.#keep(key, gate, allowance);
    return contribution.invocation;
  }

  /** Forgets all gates; with `error`, those that wait fail with it. */
  clear(error?: FractoryError): void {
    const waiting = this.#gates.clear();
    if (error) for (const gate of waiting) this.#fail(gate, error);
  }

  #keep(key: string, gate: Gate, allowance: Allowance): void {
    const { clock, activities } = this.#parts;
    const { capability, attempt, budgetMs } = gate.invocation;
    gate.cancelTimer = clock.schedule(budgetMs, () => {
      this.#gates.remove(key);
      if (!gate.hasFired) this.#fail(gate, incomplete(gate));
    });
    const { step } = allowance;
    gate.unregister =
      step && capability
        ? activities.add(step.run, step.step, {
            ...{ capability, attempt, isResult: false },
            end: () => {
              this.#gates.remove(key);
            },
          })
        : () => undefined;
  }

  #fail({ invocation }: Gate, error: FractoryError): void {
    const { member, continuer } = this.#parts;
    const failure = toFailure(error, { step: stepIdIn(invocation), member });
    continuer.fail(invocation.onFailure, failure, { ...invocation, budgetMs: FAILURE_BUDGET_MS });
  }
}

/** A step of one attempt: the same capability in the next attempt is another gate. */
function keyOf({ capability, attempt }: Invocation): string {
  const { buffer, byteOffset, length } = capability?.tag ?? new Uint8Array();
  return `${String(attempt)}\n${Buffer.from(buffer, byteOffset, length).toString('latin1')}`;
}
