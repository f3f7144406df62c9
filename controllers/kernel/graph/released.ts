import { status } from '@grpc/grpc-js';

import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { StepScope } from '../../../protos/gen/fractory/v1/caveat.js';
import { FractoryError } from '../../../runtime/errors.js';
import { isNarrowedFrom } from './activities.js';

/** Released steps that are remembered at most; beyond, the oldest are forgotten: a late invocation of theirs would be performed in vain. */
const MAX_RELEASED = 16_384;
/** How long they are remembered, ms. */
const REMEMBERED_MS = 10_000;

interface Released {
  readonly step: string;
  readonly capability: Capability;
  readonly attempt: number;
  readonly untilMs: number;
}

/**
 * Steps that runs have released, with all items of theirs: an invocation that comes late is refused. Remembered for a moment: what was on its way arrives soon, and the nodes that
 * might send more have been told too.
 *
 * Whatever overtakes whatever (a release comes from the application node, an invocation from the node before, each over a link of its own), nothing that a run still needs is
 * refused: a release is of an attempt that is over, and what is of a later one has a higher number, or, where the same run is begun anew, other capabilities: the takeovers of
 * durable runs raise the number, plain runs carry a mark (`markedRights`).
 */
export class ReleasedSteps {
  readonly #byTag = new Map<string, Released>();
  readonly #byStep = new Map<string, Set<Released>>();

  get size(): number {
    return this.#byTag.size;
  }

  /** Attempts up to `attempt` need the step no more. */
  add(scope: StepScope, capability: Capability, attempt: number, nowMs: number): void {
    this.#forgetOld(nowMs);
    const key = keyOf(capability.tag);
    const known = this.#byTag.get(key);
    if (known) this.#forget(key, known);
    const released = {
      ...{ step: stepKeyOf(scope), capability },
      attempt: Math.max(attempt, known?.attempt ?? 0),
      untilMs: nowMs + REMEMBERED_MS,
    };
    this.#byTag.set(key, released);
    const ofStep = this.#byStep.get(released.step) ?? new Set();
    this.#byStep.set(released.step, ofStep.add(released));
  }

  /** Whether the capability of a step, or one that it was narrowed from, was released. */
  has(scope: StepScope, capability: Capability, attempt: number): boolean {
    if (this.#byStep.size === 0) return false;
    for (const released of this.#byStep.get(stepKeyOf(scope)) ?? [])
      if (attempt <= released.attempt && isNarrowedFrom(capability, released.capability))
        return true;
    return false;
  }

  clear(): void {
    this.#byTag.clear();
    this.#byStep.clear();
  }

  #forgetOld(nowMs: number): void {
    for (const [key, released] of this.#byTag) {
      if (released.untilMs > nowMs && this.#byTag.size < MAX_RELEASED) return;
      this.#forget(key, released);
    }
  }

  #forget(key: string, released: Released): void {
    this.#byTag.delete(key);
    const ofStep = this.#byStep.get(released.step);
    ofStep?.delete(released);
    if (ofStep?.size === 0) this.#byStep.delete(released.step);
  }
}

/** What an invocation of such a step is told. */
export function releasedStep(): FractoryError {
  return new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_REVOKED',
    'the run has ended or begun again: it needs this step no more',
  );
}

const stepKeyOf = ({ run, step }: StepScope): string => `${run}\n${step}`;

const keyOf = (tag: Uint8Array): string =>
  Buffer.from(tag.buffer, tag.byteOffset, tag.length).toString('latin1');
