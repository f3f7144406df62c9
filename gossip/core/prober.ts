import type { Clock } from '../../runtime/clock.js';
import type { IndirectPing, Message, Ping } from '../wire/messages.js';
import type { Accusation, Ack } from '../wire/messages.js';
import type { Awareness } from './awareness.js';
import type { Drop } from './drop.js';
import { isGone } from './member.js';
import type { Endpoint, MemberTable, MemberView } from './member.js';
import type { Profile } from './profile.js';
import { Walk } from './walk.js';

/** Which versions of the protocol a member must speak at least to answer an indirect ping by nack, and a ping over TCP. */
const NACK_VERSION = 4;
const TCP_PING_VERSION = 3;

export interface ProberParts {
  readonly profile: Profile;
  readonly clock: Clock;
  readonly random: () => number;
  readonly table: MemberTable;
  readonly awareness: Awareness;
  readonly self: MemberSelf;
  /** Sends a message; rumours ride along. */
  send(to: Endpoint, messages: readonly Message[]): void;
  /** Asks over TCP, and says so if it answered in time. */
  pingByTcp(member: MemberView, timeoutMs: number, answered: () => void): void;
  suspect(accusation: Accusation): void;
  /** A member answered a ping of ours after so long. */
  answered?(member: MemberView, roundTripMs: number, payload: Uint8Array): void;
  /** Something that was said counts for nothing. */
  dropped?(why: Drop): void;
  /** Number of the first ping. Default 0. */
  readonly firstSequence?: number;
}

/** Pings for others that are under way at most: each is there for one probe timeout. */
const MAX_RELAYED = 1024;

/** Who asks. */
export interface MemberSelf extends Endpoint {
  readonly name: string;
  /** What goes into acks. */
  ackPayload(): Uint8Array;
}

/** Somebody waits for the answer with this number. */
interface Awaited {
  onAck(ack: Ack): void;
  onNack(): void;
}

/** Finds out who does not answer: one member after the other, in an order that is drawn anew each round; and answers others who do the same. */
export class Prober {
  readonly #parts: ProberParts;
  readonly #awaited = new Map<number, Awaited>();
  #sequence = 0;
  #walk: Walk;
  #cancel: () => void = () => undefined;
  #probe: Probe | undefined;
  #stopped = false;
  readonly #ticks = (): void => {
    this.#tick();
  };
  readonly #host: ProbeHost = {
    helpers: (target) => this.#helpers(target),
    ended: (probe) => {
      this.#ended(probe);
    },
  };

  constructor(parts: ProberParts) {
    this.#parts = parts;
    this.#walk = new Walk(0, parts.random);
    this.#sequence = parts.firstSequence ?? 0;
  }

  start(): void {
    const { profile, random } = this.#parts;
    this.#tickIn(random() * profile.probeIntervalMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#probe?.abandon();
    this.#awaited.clear();
  }

  /** This member itself was away for a while: what it did not hear says nothing about others. */
  stalled(): void {
    if (!this.#probe) return;
    this.#probe.abandon();
    this.#probe = undefined;
    this.#tickIn(this.#parts.profile.probeIntervalMs);
  }

  onPing({ name, sequence, sourceAddress, sourcePort }: Ping, from: Endpoint): void {
    const { self } = this.#parts;
    // Somebody who had this address before is meant.
    if (name !== '' && name !== self.name) {
      this.#parts.dropped?.('other_name');
      return;
    }
    const to = sourceAddress.length > 0 ? { address: sourceAddress, port: sourcePort } : from;
    this.#parts.send(to, [{ kind: 'ack', sequence, payload: self.ackPayload() }]);
  }

  onIndirectPing(asked: IndirectPing, from: Endpoint): void {
    const { profile, clock } = this.#parts;
    if (this.#awaited.size >= MAX_RELAYED) {
      this.#parts.dropped?.('over_limit');
      return;
    }
    const { name, target, port, sourceAddress, sourcePort } = asked;
    const asker = sourceAddress.length > 0 ? { address: sourceAddress, port: sourcePort } : from;
    const sequence = this.#expect({
      onAck: () => {
        cancel();
        this.#awaited.delete(sequence);
        const { sequence: theirs } = asked;
        this.#parts.send(asker, [{ kind: 'ack', sequence: theirs, payload: new Uint8Array() }]);
      },
      onNack: () => undefined,
    });
    const cancel = clock.schedule(profile.probeTimeoutMs, () => {
      this.#awaited.delete(sequence);
      if (asked.nack) this.#parts.send(asker, [{ kind: 'nack', sequence: asked.sequence }]);
    });
    this.#parts.send({ address: target, port }, [this.#ping(sequence, name)]);
  }

  onAck(ack: Ack): void {
    this.#awaitedBy(ack.sequence)?.onAck(ack);
  }

  onNack(sequence: number): void {
    this.#awaitedBy(sequence)?.onNack();
  }

  #awaitedBy(sequence: number): Awaited | undefined {
    const awaited = this.#awaited.get(sequence);
    if (!awaited) this.#parts.dropped?.('unexpected_answer');
    return awaited;
  }

  #tickIn(delayMs: number): void {
    this.#cancel();
    if (this.#stopped) return;
    this.#cancel = this.#parts.clock.schedule(delayMs, this.#ticks);
  }

  /** Begins a probe; the next one begins an interval later, or when this one has ended. */
  #tick(): void {
    const { profile, clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const target = this.#nextTarget();
    if (!target) {
      this.#tickIn(profile.probeIntervalMs);
      return;
    }
    const sequence = this.#nextSequence();
    const probe = new Probe(this.#parts, this.#host, { target, sequence, startedMs });
    this.#probe = probe;
    this.#awaited.set(sequence, probe);
    probe.begin(this.#ping(sequence, target.name));
  }

  #ended({ sequence, startedMs }: ProbeOptions): void {
    this.#awaited.delete(sequence);
    this.#probe = undefined;
    const { profile, clock } = this.#parts;
    const elapsedMs = clock.monotonicMs() - startedMs;
    this.#tickIn(Math.max(0, profile.probeIntervalMs - elapsedMs));
  }

  #expect(awaited: Awaited): number {
    const sequence = this.#nextSequence();
    this.#awaited.set(sequence, awaited);
    return sequence;
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  #ping(sequence: number, name: string): Message {
    const { self } = this.#parts;
    const { address: sourceAddress, port: sourcePort, name: sourceName } = self;
    return { kind: 'ping', sequence, name, sourceAddress, sourcePort, sourceName };
  }

  #nextTarget(): MemberView | undefined {
    const { table, self, random } = this.#parts;
    for (let looks = 0; looks <= table.size; looks++) {
      let place = this.#walk.next();
      if (place === undefined) {
        this.#walk = new Walk(table.size, random);
        place = this.#walk.next();
      }
      const view = place === undefined ? undefined : table.at(place);
      if (view && view.name !== self.name && !isGone(view)) return view;
    }
    return undefined;
  }

  /** Others who may reach it. */
  #helpers(target: MemberView): MemberView[] {
    const { profile, table, self, random } = this.#parts;
    return pickMembers(table, random, profile.indirectChecks, ({ name, state }) => {
      return name !== self.name && name !== target.name && state === 'alive';
    });
  }
}

/** What goes on in a probe costs ten thousand members as many objects a second: it is kept small. */
interface ProbeOptions {
  readonly target: MemberView;
  readonly sequence: number;
  readonly startedMs: number;
}

/** Who probes. */
interface ProbeHost {
  /** Others who may reach it. */
  helpers(target: MemberView): readonly MemberView[];
  ended(probe: ProbeOptions): void;
}

/** One probe: a ping; if it is not answered, pings by others and one over TCP; if none is answered either, a suspicion. */
class Probe implements Awaited {
  readonly #parts: ProberParts;
  readonly #host: ProbeHost;
  readonly #options: ProbeOptions;
  #cancel: () => void = () => undefined;
  #askedForNacks = 0;
  #nacks = 0;
  #over = false;
  #reachedByTcp = false;

  constructor(parts: ProberParts, host: ProbeHost, options: ProbeOptions) {
    this.#parts = parts;
    this.#host = host;
    this.#options = options;
  }

  begin(ping: Message): void {
    const { target } = this.#options;
    const { self, clock, profile } = this.#parts;
    const { incarnation, name, state } = target;
    // A suspect hears of it first of all, so that it can answer back (Lifeguard's buddy system).
    if (state === 'alive' || !profile.tellsSuspects) this.#parts.send(target, [ping]);
    else this.#parts.send(target, [ping, { kind: 'suspect', incarnation, name, from: self.name }]);
    this.#cancel = clock.schedule(profile.probeTimeoutMs, () => {
      this.#askOthers();
    });
  }

  onAck({ payload }: Ack): void {
    if (this.#over) return;
    const { target, startedMs } = this.#options;
    this.#parts.awareness.add(-1);
    this.#parts.answered?.(target, this.#parts.clock.monotonicMs() - startedMs, payload);
    this.#end();
  }

  onNack(): void {
    this.#nacks++;
  }

  /** Ends it without a word about anybody. */
  abandon(): void {
    this.#over = true;
    this.#cancel();
  }

  #askOthers(): void {
    const { profile, clock, awareness, self } = this.#parts;
    const { target, sequence, startedMs } = this.#options;
    for (const helper of this.#host.helpers(target)) {
      const nack = profile.wantsNacks && (helper.versions[1] ?? 0) >= NACK_VERSION;
      if (nack) this.#askedForNacks++;
      const asked: Message = {
        ...{ kind: 'indirectPing', sequence, target: target.address, port: target.port },
        ...{ name: target.name, nack, sourceName: self.name },
        ...{ sourceAddress: self.address, sourcePort: self.port },
      };
      this.#parts.send(helper, [asked]);
    }
    const untilMs = startedMs + awareness.scaled(profile.probeIntervalMs);
    const leftMs = Math.max(0, untilMs - clock.monotonicMs());
    if (profile.tcpFallback && (target.versions[1] ?? 0) >= TCP_PING_VERSION)
      this.#parts.pingByTcp(target, leftMs, () => {
        this.#reachedByTcp = true;
      });
    this.#cancel = clock.schedule(leftMs, () => {
      this.#judge();
    });
  }

  #judge(): void {
    const { awareness, self } = this.#parts;
    const { target } = this.#options;
    if (this.#reachedByTcp) {
      this.#end();
      return;
    }
    // Helpers that are silent too speak for a fault on this side.
    awareness.add(this.#askedForNacks > 0 ? this.#askedForNacks - this.#nacks : 1);
    this.#end();
    this.#parts.suspect({ incarnation: target.incarnation, name: target.name, from: self.name });
  }

  #end(): void {
    this.#over = true;
    this.#cancel();
    this.#host.ended(this.#options);
  }
}

/** So many members at most that fit, drawn at random: by a bounded number of draws, as a full look costs more than it is worth in a large cluster. */
export function pickMembers(
  table: MemberTable,
  random: () => number,
  count: number,
  fits: (view: MemberView) => boolean,
): MemberView[] {
  const picked: MemberView[] = [];
  const { size } = table;
  for (let draw = 0; draw < 3 * size && draw < 3 * count + 60 && picked.length < count; draw++) {
    const view = table.at(Math.floor(random() * size));
    if (view && fits(view) && !picked.includes(view)) picked.push(view);
  }
  return picked;
}
