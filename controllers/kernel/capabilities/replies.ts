import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { Failure, Value } from '../../../protos/gen/fractory/v1/value.js';
import { listValue } from '../../../protos/values.js';
import { addReceipts } from '../graph/gates.js';
import { denied } from './caveats.js';

/** How a one-shot reply ended. Receipts are encoded. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly result: Value; readonly receipts: readonly Uint8Array[] }
  | {
      readonly kind: 'failed';
      readonly failure: Failure;
      readonly receipts: readonly Uint8Array[];
    };

/** One half of a reply pair. */
export interface ReplyObject {
  readonly kind: 'reply';
  /** Which half. */
  readonly outcome: Outcome['kind'];
  readonly group: ReplyGroup;
}

/** Both halves together. */
export interface ReplyGroup {
  /** Numbers of the objects of both. */
  readonly objects: bigint[];
  readonly settle: (outcome: Outcome) => void;
  /** Where the success half is used once for each of several ends. */
  readonly ends: Ends | undefined;
}

/** Two capabilities; the first to be invoked consumes both. With several ends, the success half does so when all have come. */
export interface ReplyPair {
  readonly success: Capability;
  readonly failure: Capability;
  /** Makes both useless; idempotent. */
  readonly revoke: () => void;
}

/** Collects what comes to the ends of a graph. */
export class Ends {
  readonly #names: readonly string[];
  readonly #values = new Map<string, Value>();
  readonly #receipts: Uint8Array[] = [];
  readonly #knownReceipts = new Set<string>();

  constructor(names: readonly string[]) {
    if (names.length === 0) throw new Error('a reply with ends needs at least one');
    this.#names = names;
  }

  /** The outcome once all are there. The first result of each end counts; later ones are dropped. Throws CAPABILITY_DENIED for an unknown end. */
  take(name: string, value: Value, receipts: readonly Uint8Array[]): Outcome | undefined {
    if (!this.#names.includes(name))
      throw denied(`the reply waits for ${this.#names.join(', ')}, not ${name}`);
    if (this.#values.has(name)) return undefined;
    this.#values.set(name, value);
    addReceipts(this.#receipts, receipts, this.#knownReceipts);
    if (this.#values.size < this.#names.length) return undefined;
    const results: Value[] = [];
    for (const end of this.#names) {
      const result = this.#values.get(end);
      if (!result) return undefined;
      results.push(result);
    }
    return { kind: 'succeeded', result: listValue(results), receipts: this.#receipts };
  }
}
