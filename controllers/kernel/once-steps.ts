import { status } from '@grpc/grpc-js';

import { toFractoryError } from '../../protos/status.js';
import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { StepScope } from '../../protos/gen/fractory/v1/caveat.js';
import { sizeOf } from '../../protos/values.js';
import { FractoryError, limitExceeded } from '../../runtime/errors.js';
import { isNarrowedFrom, lineageOf } from './graph/activities.js';
import { releasedStep } from './graph/released.js';
import { isWorthRetrying } from './peers.js';
import { keyOf, prefixOf } from './remembered-results.js';
import type { StepUse } from './remembered-results.js';
import type { Travelling } from './results.js';

export interface OnceOptions {
  /** What may be remembered at a time, bytes; beyond, steps that would have to be are refused. */
  readonly maxBytes: number;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
}

/** How a step is named to people. */
export interface StepName {
  readonly step: string;
  readonly member: string;
}

interface Entry {
  readonly outcome: Promise<Travelling>;
  /** Of the capability that it was begun with. */
  readonly lineage: Capability;
  readonly expiresAtMs: number;
  bytes: number;
}

/** What an entry takes beside its result. */
const ENTRY_BYTES = 512;
/** What it takes to know that a step was done in a run that has ended. */
const DONE_BYTES = 256;
/** Less would not do for anything. */
const LEAST_BYTES = 1024 * 1024;

/**
 * Steps that must not be done twice. Whoever invokes one a second time waits for the first, or gets what it got, its failure too: from its beginning until the
 * run releases it or its capability expires. Never evicted before: there is room, or the step is refused before it begins. From the end of the run until the
 * capability expires it is remembered that it was done: an owner of the run that was frozen in the meantime may invoke it when it wakes up. Only what is
 * remembered of runs that have ended makes room for others.
 */
export class OnceSteps {
  readonly #options: OnceOptions;
  readonly #entries = new Map<string, Entry>();
  /** Of runs that have ended: when the capability expires, by key, oldest first. */
  readonly #done = new Map<string, number>();
  #bytes = 0;
  #nextExpiryMs = Infinity;

  constructor(options: OnceOptions) {
    this.#options = options;
  }

  /** Those of runs that have not ended. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * What this use of a step yields. `begin` is called where nobody has begun it; it calls `begins` right before there can be an effect. What
   * fails before that was not done, and is forgotten. PERMISSION_DENIED (CAPABILITY_REVOKED) where its run has ended.
   */
  join(
    use: StepUse,
    name: StepName,
    expiresAtMs: number,
    begin: (begins: () => void) => Promise<Travelling>,
  ): { readonly outcome: Promise<Travelling>; readonly isFirst: boolean } {
    const key = keyOf(use);
    if (this.#done.has(key)) throw releasedStep();
    const known = this.#entries.get(key);
    if (known) return { outcome: known.outcome, isFirst: false };
    this.#makeRoom(name);
    let hasBegun = false;
    const begun = begin(() => {
      hasBegun = true;
    });
    const outcome = begun.catch((error: unknown) => {
      if (hasBegun) throw inDoubt(error, name);
      this.#remove(key, entry);
      throw error;
    });
    const lineage = lineageOf(use.capability);
    const entry: Entry = { outcome, lineage, expiresAtMs, bytes: ENTRY_BYTES };
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, expiresAtMs);
    outcome.then(
      ({ value }) => {
        if (this.#entries.get(key) !== entry) return;
        const bytes = sizeOf(value);
        entry.bytes += bytes;
        this.#bytes += bytes;
      },
      () => undefined,
    );
    return { outcome, isFirst: true };
  }

  /**
   * The run has ended: nobody will ask for this step by `capability`, or by one narrowed from it, any more. The same run, begun anew, has other capabilities, and what
   * it has begun stays.
   */
  forget(scope: StepScope, capability: Capability): void {
    if (this.#entries.size === 0) return;
    const prefix = prefixOf(scope);
    const released = lineageOf(capability);
    for (const [key, entry] of this.#entries) {
      if (!key.startsWith(prefix) || !isNarrowedFrom(entry.lineage, released)) continue;
      this.#remove(key, entry);
      this.#done.set(key, entry.expiresAtMs);
      this.#bytes += DONE_BYTES;
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#done.clear();
    this.#bytes = 0;
    this.#nextExpiryMs = Infinity;
  }

  #makeRoom({ step }: StepName): void {
    const nowMs = this.#options.now();
    if (nowMs >= this.#nextExpiryMs) this.#forgetExpired(nowMs);
    const most = Math.max(LEAST_BYTES, this.#options.maxBytes);
    this.#forgetDone(nowMs, most - ENTRY_BYTES);
    if (this.#bytes + ENTRY_BYTES <= most) return;
    const what = `what is remembered of steps that must not be done twice, with step ${step}, in bytes`;
    throw limitExceeded('max_remembered_bytes', this.#bytes + ENTRY_BYTES, most, {
      ...{ what, retryAfterMs: 500 },
    });
  }

  #forgetExpired(nowMs: number): void {
    let nextMs = Infinity;
    for (const [key, entry] of this.#entries)
      if (entry.expiresAtMs <= nowMs) this.#remove(key, entry);
      else nextMs = Math.min(nextMs, entry.expiresAtMs);
    this.#nextExpiryMs = nextMs;
  }

  /** What has expired, and more of it where there is no room. */
  #forgetDone(nowMs: number, most: number): void {
    for (const [key, expiresAtMs] of this.#done) {
      if (expiresAtMs > nowMs && this.#bytes <= most) return;
      this.#done.delete(key);
      this.#bytes -= DONE_BYTES;
    }
  }

  #remove(key: string, entry: Entry): void {
    if (this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}

/** What a step has done, if anything, can't be learned any more, and doing it again could do it twice. */
export function stepMayBeDone(
  { step, member }: StepName,
  why: string,
  cause?: unknown,
): FractoryError {
  return new FractoryError(
    status.ABORTED,
    'STEP_MAY_BE_DONE',
    `step ${step} on ${member} may be done and must not be done twice: ${why}`,
    { metadata: { step, member }, ...(cause === undefined ? {} : { cause }) },
  );
}

/** A failure that would be tried again, of a step that has begun. */
function inDoubt(thrown: unknown, name: StepName): unknown {
  const error = toFractoryError(thrown);
  return isWorthRetrying(error) ? stepMayBeDone(name, error.message, error) : thrown;
}
