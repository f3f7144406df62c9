import type { Clock } from '../../runtime/clock.js';
import type { Accusation, Ack, IndirectPing, Ping } from '../wire/messages.js';
import type { Awareness } from './awareness.js';
import type { Drop } from './drop.js';
import type { Transport } from './gossip-member.js';
import { isGone } from './member.js';
import type { Endpoint, MemberTable, MemberView } from './member.js';
import type { Outgoing } from './outgoing.js';
import { pickMembers } from './pick-members.js';
import { Probe } from './probe.js';
import type { Profile } from './profile.js';
import { Relays } from './relays.js';
import { Walk } from './walk.js';

export interface ProberParts {
  readonly profile: Profile;
  readonly clock: Clock;
  readonly random: () => number;
  readonly table: MemberTable;
  readonly awareness: Awareness;
  readonly self: MemberSelf;
  readonly outgoing: Outgoing;
  readonly transport: Pick<Transport, 'pingByTcp'>;
  suspect(accusation: Accusation): void;
  /** A member answered a ping of ours after so long. */
  answered?(member: MemberView, roundTripMs: number, payload: Uint8Array): void;
  /** All were asked once: another round begins. */
  roundBegins?(): void;
  /** Something that was said counts for nothing. */
  dropped?(why: Drop): void;
  /** Number of the first ping. Default 0. */
  readonly firstSequence?: number;
}

/** Who asks. */
export interface MemberSelf extends Endpoint {
  readonly name: string;
  /** What goes into acks. */
  ackPayload(): Uint8Array;
}

/** Finds out who does not answer: one member after the other, in an order that is drawn anew each round; and answers others who do the same. */
export class Prober {
  readonly #parts: ProberParts;
  readonly #probe: Probe;
  readonly #relays: Relays;
  #sequence: number;
  #walk: Walk;
  #cancel: () => void = () => undefined;
  #stopped = false;
  readonly #ticks = (): void => {
    this.#tick();
  };

  constructor(parts: ProberParts) {
    this.#parts = parts;
    this.#walk = new Walk(0, parts.random);
    this.#sequence = parts.firstSequence ?? 0;
    this.#relays = new Relays(parts);
    this.#probe = new Probe(parts, {
      helpers: (target) => this.#helpers(target),
      ended: () => {
        this.#ended();
      },
    });
  }

  start(): void {
    const { profile, random } = this.#parts;
    this.#tickIn(random() * profile.probeIntervalMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#probe.abandon();
    this.#relays.stop();
  }

  /** This member itself was away for a while: what it did not hear says nothing about others. */
  stalled(): void {
    if (this.#probe.abandon()) this.#tickIn(this.#parts.profile.probeIntervalMs);
  }

  onPing({ name, sequence, sourceAddress, sourcePort }: Ping, from: Endpoint): void {
    const { self } = this.#parts;
    // Somebody who had this address before is meant.
    if (name !== '' && name !== self.name) {
      this.#parts.dropped?.('other_name');
      return;
    }
    const to = sourceAddress.length > 0 ? { address: sourceAddress, port: sourcePort } : from;
    this.#parts.outgoing.send(to, [{ kind: 'ack', sequence, payload: self.ackPayload() }]);
  }

  onIndirectPing(asked: IndirectPing, from: Endpoint): void {
    this.#relays.begin(asked, from, this.#nextSequence());
  }

  onAck(ack: Ack): void {
    if (this.#probe.awaits(ack.sequence)) this.#probe.onAck(ack);
    else if (!this.#relays.onAck(ack.sequence)) this.#parts.dropped?.('unexpected_answer');
  }

  onNack(sequence: number): void {
    if (this.#probe.awaits(sequence)) this.#probe.onNack();
    else this.#parts.dropped?.('unexpected_answer');
  }

  #tickIn(delayMs: number): void {
    this.#cancel();
    if (this.#stopped) return;
    this.#cancel = this.#parts.clock.schedule(delayMs, this.#ticks);
  }

  /** Begins a probe; the next one begins an interval later, or when this one has ended. */
  #tick(): void {
    const target = this.#nextTarget();
    if (target) this.#probe.begin(target, this.#nextSequence());
    else this.#tickIn(this.#parts.profile.probeIntervalMs);
  }

  #ended(): void {
    const { profile, clock } = this.#parts;
    const elapsedMs = clock.monotonicMs() - this.#probe.startedMs;
    this.#tickIn(Math.max(0, profile.probeIntervalMs - elapsedMs));
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  #nextTarget(): MemberView | undefined {
    const { table, self } = this.#parts;
    for (let looks = 0; looks <= table.size; looks++) {
      const place = this.#walk.next() ?? this.#newWalk().next();
      const view = place === undefined ? undefined : table.at(place);
      if (view && view.name !== self.name && !isGone(view)) return view;
    }
    return undefined;
  }

  #newWalk(): Walk {
    const { table, random } = this.#parts;
    this.#parts.roundBegins?.();
    this.#walk = new Walk(table.size, random);
    return this.#walk;
  }

  /** Others who may reach it. */
  #helpers(target: MemberView): MemberView[] {
    const { profile, table, self, random } = this.#parts;
    return pickMembers(table, random, profile.indirectChecks, ({ name, state }) => {
      return name !== self.name && name !== target.name && state === 'alive';
    });
  }
}
