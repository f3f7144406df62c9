import { epochBaseAt } from '../epoch-base.js';
import { decodeRecord } from '../members.js';

/** One registration as the embedded coordinator keeps it. */
export interface Lease {
  readonly session: number;
  /** The client's number for it. */
  readonly registration: number;
  readonly type: string;
  readonly member: string;
  readonly data: string;
  readonly epoch: bigint;
  readonly sequence: bigint;
}

/**
 * The registrations of all live sessions. Epochs and sequence numbers come from counters that begin at the wall clock, so that
 * epochs only grow across restarts of the coordinator.
 */
export class LeaseTable {
  readonly #leases = new Set<Lease>();
  readonly #sequences = new Map<string, bigint>();
  #epoch: bigint;

  /** @param startedAtMs wall clock at the start of the coordinator */
  constructor(startedAtMs: number) {
    this.#epoch = epochBaseAt(startedAtMs);
  }

  /** Registers a member at the end of the queue of its type; what an earlier life of it left behind is gone. */
  register(lease: Omit<Lease, 'epoch' | 'sequence'>, aboveEpoch = 0n): Lease {
    if (this.#epoch < aboveEpoch) this.#epoch = aboveEpoch;
    this.#drop((other) => other.type === lease.type && other.member === lease.member);
    const sequence = this.#sequences.get(lease.type) ?? 0n;
    this.#sequences.set(lease.type, sequence + 1n);
    const made = { ...lease, epoch: ++this.#epoch, sequence };
    this.#leases.add(made);
    return made;
  }

  /** Takes one life of a member out; true if it was there. */
  remove(member: string, instance: string): boolean {
    return this.#drop((lease) => lease.member === member && instanceOf(lease) === instance);
  }

  /** True if there was one. */
  withdraw(session: number, registration: number): boolean {
    return this.#drop((lease) => lease.session === session && lease.registration === registration);
  }

  /** Ends a session: true if it had registrations. */
  end(session: number): boolean {
    return this.#drop((lease) => lease.session === session);
  }

  list(): Lease[] {
    return [...this.#leases];
  }

  #drop(matches: (lease: Lease) => boolean): boolean {
    const matching = [...this.#leases].filter(matches);
    for (const lease of matching) this.#leases.delete(lease);
    return matching.length > 0;
  }
}

function instanceOf({ data }: Lease): string | undefined {
  const record = decodeRecord(data);
  return typeof record === 'string' ? undefined : record.instance;
}
