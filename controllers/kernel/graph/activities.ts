import { createHash } from 'node:crypto';

import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { FractoryError } from '../../../runtime/errors.js';

/** Something that goes on, waits or is kept for a step of a run. */
export interface Activity {
  /** Capability that the step was invoked with. */
  readonly capability: Capability;
  /** Attempt at the run that it belongs to. */
  readonly attempt: number;
  /** It outlives an attempt: a result that the next one may use again. */
  readonly isResult: boolean;
  /** The run needs it no more. Called at most once. */
  end(reason: FractoryError): void;
}

/** Everything that this node does, waits for or keeps for runs: what a release must find. */
export class Activities {
  readonly #byStep = new Map<string, Set<Activity>>();

  get size(): number {
    let size = 0;
    for (const activities of this.#byStep.values()) size += activities.size;
    return size;
  }

  /** Returns what takes it out again; idempotent. */
  add(run: string, step: string, activity: Activity): () => void {
    const key = keyOf(run, step);
    const activities = this.#byStep.get(key) ?? new Set();
    this.#byStep.set(key, activities);
    activities.add(activity);
    return () => {
      this.#remove(key, activities, activity);
    };
  }

  /** Ends what was begun with `capability`, or with one narrowed from it, in attempts up to `attempt`; results only if the run has ended. */
  release(
    scope: { readonly run: string; readonly step: string },
    capability: Capability,
    { attempt, ended }: { readonly attempt: number; readonly ended: boolean },
    reason: FractoryError,
  ): void {
    const key = keyOf(scope.run, scope.step);
    const activities = this.#byStep.get(key);
    if (!activities) return;
    for (const activity of [...activities]) {
      if (activity.attempt > attempt || (activity.isResult && !ended)) continue;
      if (!isNarrowedFrom(activity.capability, capability)) continue;
      this.#remove(key, activities, activity);
      activity.end(reason);
    }
  }

  /** Ends everything. */
  endAll(reason: FractoryError): void {
    const all = [...this.#byStep.values()].flatMap((activities) => [...activities]);
    this.#byStep.clear();
    for (const activity of all) activity.end(reason);
  }

  #remove(key: string, activities: Set<Activity>, activity: Activity): void {
    activities.delete(activity);
    if (activities.size === 0 && this.#byStep.get(key) === activities) this.#byStep.delete(key);
  }
}

const keyOf = (run: string, step: string): string => `${run}\n${step}`;

/** Whether `narrow` is `wide`, or that with more caveats. Both are genuine, so equal caveats from the same root mean the same chain. */
export function isNarrowedFrom(narrow: Capability, wide: Capability): boolean {
  return (
    narrow.object === wide.object &&
    narrow.node === wide.node &&
    narrow.epoch === wide.epoch &&
    narrow.caveats.length >= wide.caveats.length &&
    wide.caveats.every((caveat, index) => {
      const other = narrow.caveats[index];
      return other !== undefined && Buffer.compare(caveat, other) === 0;
    })
  );
}

/** Longer caveats, such as those with arguments, are told apart by their digest. */
const SHORT_CAVEAT_BYTES = 256;

/** What `isNarrowedFrom` compares, in few bytes of its own: it can be kept when the message that held the capability is gone. Compared only with another lineage. */
export function lineageOf(capability: Capability): Capability {
  const caveats = capability.caveats.map((caveat) =>
    caveat.length > SHORT_CAVEAT_BYTES
      ? createHash('sha256').update(caveat).digest()
      : new Uint8Array(caveat),
  );
  return { ...capability, caveats, tag: new Uint8Array() };
}
