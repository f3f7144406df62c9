import type { IndirectPing } from '../wire/messages.js';
import type { Endpoint } from './member.js';
import { pingOf } from './probe.js';
import type { ProberParts } from './prober.js';

/** Pings for others that are under way at most: each is there for one probe timeout. */
const MAX_RELAYED = 1024;

/** A ping for somebody else. */
interface Relay {
  readonly asker: Endpoint;
  /** The asker's number. */
  readonly sequence: number;
  readonly cancel: () => void;
}

/** Pings that others ask for: the answer is told on to them, and its absence too, if they want that. */
export class Relays {
  readonly #parts: ProberParts;
  /** By the number of our own ping. */
  readonly #waiting = new Map<number, Relay>();

  constructor(parts: ProberParts) {
    this.#parts = parts;
  }

  /** Pings for them, with this number. */
  begin(asked: IndirectPing, from: Endpoint, ours: number): void {
    const { profile, clock } = this.#parts;
    if (this.#waiting.size >= MAX_RELAYED) {
      this.#parts.dropped?.('over_limit');
      return;
    }
    const { name, target, port, sequence, nack, sourceAddress, sourcePort } = asked;
    const asker = sourceAddress.length > 0 ? { address: sourceAddress, port: sourcePort } : from;
    const cancel = clock.schedule(profile.probeTimeoutMs, () => {
      this.#waiting.delete(ours);
      if (nack) this.#parts.outgoing.send(asker, [{ kind: 'nack', sequence }]);
    });
    this.#waiting.set(ours, { asker, sequence, cancel });
    this.#parts.outgoing.send({ address: target, port }, [pingOf(this.#parts, ours, name)]);
  }

  /** False where nobody waits for this answer. */
  onAck(ours: number): boolean {
    const relay = this.#waiting.get(ours);
    if (!relay) return false;
    relay.cancel();
    this.#waiting.delete(ours);
    const { asker, sequence } = relay;
    this.#parts.outgoing.send(asker, [{ kind: 'ack', sequence, payload: new Uint8Array() }]);
    return true;
  }

  stop(): void {
    for (const { cancel } of this.#waiting.values()) cancel();
    this.#waiting.clear();
  }
}
