import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Clock } from '../../runtime/clock.js';
import { withDeadline } from '../../runtime/deadline.js';
import type { PlacedContent, Placement } from '../../services/storage/depot.js';
import type { BlockCalls } from './block-calls.js';

export interface SharedOpensOptions {
  readonly calls: Pick<BlockCalls, 'open'>;
  readonly clock: Clock;
  readonly epochOf: (member: string) => bigint | undefined;
}

/** How long a device keeps an open content, at least, ms. */
const LEASE_MS = 1_800_000;
const OPEN_TIMEOUT_MS = 15_000;
/** Contents that are remembered as open; others are opened again. */
const MAX_OPENS = 4096;

/** A content that a device has open, for all who read it. */
export class SharedOpen {
  readonly capability: Capability;
  /** When the device closes it, ms since 1970. */
  readonly leaseEndMs: number;
  #usedUntilMs = 0;
  #readers = 0;

  constructor(capability: Capability, leaseEndMs: number) {
    this.capability = capability;
    this.leaseEndMs = leaseEndMs;
  }

  /** Until when those who were given it may read. */
  get usedUntilMs(): number {
    return this.#readers > 0 ? this.leaseEndMs : this.#usedUntilMs;
  }

  useUntil(untilMs: number): void {
    this.#usedUntilMs = Math.max(this.#usedUntilMs, untilMs);
  }

  /** A reader of this node has begun; returns what says that it has ended. */
  read(): () => void {
    this.#readers++;
    return () => {
      this.#readers--;
    };
  }
}

/** One open memory for each content and life of its device: to read costs no call of the device then. */
export class SharedOpens {
  readonly #options: SharedOpensOptions;
  readonly #known = new Map<string, SharedOpen>();
  readonly #opening = new Map<string, Promise<SharedOpen>>();

  constructor(options: SharedOpensOptions) {
    this.#options = options;
  }

  /** Until when somebody may read it, ms since 1970; 0 = nobody does. */
  usedUntilMs(placement: Placement): number {
    return this.#known.get(keyOf(placement))?.usedUntilMs ?? 0;
  }

  forget(placement: Placement): void {
    this.#known.delete(keyOf(placement));
  }

  async open(content: PlacedContent, untilMs: number, signal: AbortSignal): Promise<SharedOpen> {
    const { placement } = content;
    const key = keyOf(placement);
    const known = this.#known.get(key);
    const isOfThisLife = known?.capability.epoch === this.#options.epochOf(placement.device);
    if (known && isOfThisLife && known.leaseEndMs >= untilMs) return known;
    const opening = this.#opening.get(key) ?? this.#begin(key, content, untilMs);
    return withDeadline(
      OPEN_TIMEOUT_MS,
      `opening a content of ${placement.device}`,
      () => opening,
      signal,
    );
  }

  /** One call for all who want it: no single caller may cancel it. */
  #begin(key: string, content: PlacedContent, untilMs: number): Promise<SharedOpen> {
    const opening = this.#open(content, untilMs)
      .then((open) => {
        open.useUntil(this.#known.get(key)?.usedUntilMs ?? 0);
        this.#known.delete(key);
        this.#known.set(key, open);
        this.#evict();
        return open;
      })
      .finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    // Whoever still waits for it hears of its failure; at its deadline nobody may.
    opening.catch(() => undefined);
    return opening;
  }

  async #open({ placement, sizeBytes }: PlacedContent, untilMs: number): Promise<SharedOpen> {
    const { calls, clock } = this.#options;
    const now = clock.now();
    const leaseMs = Math.max(LEASE_MS, 2 * Math.ceil(untilMs - now));
    const { capability } = await calls.open(
      placement.device,
      {
        ...{ extents: placement.extents, sizeBytes: BigInt(sizeBytes), writable: false },
        leaseMs,
      },
      AbortSignal.timeout(OPEN_TIMEOUT_MS),
    );
    return new SharedOpen(capability, now + leaseMs);
  }

  /** The oldest go first, those that nobody reads any more before others. */
  #evict(): void {
    if (this.#known.size <= MAX_OPENS) return;
    const now = this.#options.clock.now();
    const unused = [...this.#known].find(([, open]) => open.usedUntilMs < now);
    const oldest = unused?.[0] ?? this.#known.keys().next().value;
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}

function keyOf({ device, extents }: Placement): string {
  return `${device} ${extents.join()}`;
}
