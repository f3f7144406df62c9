import type { Ack, Message } from '../wire/messages.js';
import type { MemberView } from './member.js';
import type { ProberParts } from './prober.js';

/** Which versions of the protocol a member must speak at least to answer an indirect ping by nack, and a ping over TCP. */
const NACK_VERSION = 4;
const TCP_PING_VERSION = 3;

/** Who probes. */
interface ProbeHost {
  /** Others who may reach it. */
  helpers(target: MemberView): readonly MemberView[];
  /** The probe is over, whatever came of it. */
  ended(): void;
}

/**
 * A probe: a ping; if it is not answered, pings by others and one over TCP; if none is answered either, a suspicion. A member has one at a time and begins it again and
 * again: ten thousand simulated members begin as many a second.
 */
export class Probe {
  readonly #parts: ProberParts;
  readonly #host: ProbeHost;
  /** Who is asked; undefined = nobody now. */
  #target: MemberView | undefined;
  #sequence = 0;
  #startedMs = 0;
  #askedForNacks = 0;
  #nacks = 0;
  #reachedByTcp = false;
  #cancel: () => void = () => undefined;
  readonly #asksOthers = (): void => {
    this.#askOthers();
  };
  readonly #judges = (): void => {
    this.#judge();
  };

  constructor(parts: ProberParts, host: ProbeHost) {
    this.#parts = parts;
    this.#host = host;
  }

  /** When it began, monotonic ms. */
  get startedMs(): number {
    return this.#startedMs;
  }

  /** Whether an answer with this number is one to it. */
  awaits(sequence: number): boolean {
    return this.#target !== undefined && this.#sequence === sequence;
  }

  begin(target: MemberView, sequence: number): void {
    const { self, clock, profile } = this.#parts;
    const { incarnation, name, state } = target;
    this.#target = target;
    this.#sequence = sequence;
    this.#startedMs = clock.monotonicMs();
    this.#askedForNacks = 0;
    this.#nacks = 0;
    this.#reachedByTcp = false;
    const ping = pingOf(this.#parts, sequence, name);
    // A suspect hears of it first of all, so that it can answer back (Lifeguard's buddy system).
    if (state === 'alive' || !profile.tellsSuspects) this.#parts.outgoing.send(target, [ping]);
    else
      this.#parts.outgoing.send(target, [
        ping,
        { kind: 'suspect', incarnation, name, from: self.name },
      ]);
    this.#cancel = clock.schedule(profile.probeTimeoutMs, this.#asksOthers);
  }

  onAck({ payload }: Ack): void {
    const target = this.#target;
    if (!target) return;
    this.#parts.awareness.add(-1);
    this.#parts.answered?.(target, this.#parts.clock.monotonicMs() - this.#startedMs, payload);
    this.#end();
  }

  onNack(): void {
    this.#nacks++;
  }

  /** Ends it without a word about anybody; false where there was none. */
  abandon(): boolean {
    if (!this.#target) return false;
    this.#target = undefined;
    this.#cancel();
    return true;
  }

  #askOthers(): void {
    const target = this.#target;
    if (!target) return;
    const { profile, clock, awareness } = this.#parts;
    for (const helper of this.#host.helpers(target)) this.#askHelper(helper, target);
    const untilMs = this.#startedMs + awareness.scaled(profile.probeIntervalMs);
    const leftMs = Math.max(0, untilMs - clock.monotonicMs());
    if (profile.tcpFallback && (target.versions[1] ?? 0) >= TCP_PING_VERSION) {
      const sequence = this.#sequence;
      this.#parts.transport.pingByTcp(target, leftMs, () => {
        if (this.awaits(sequence)) this.#reachedByTcp = true;
      });
    }
    this.#cancel = clock.schedule(leftMs, this.#judges);
  }

  #askHelper(helper: MemberView, target: MemberView): void {
    const { profile, self } = this.#parts;
    const nack = profile.wantsNacks && (helper.versions[1] ?? 0) >= NACK_VERSION;
    if (nack) this.#askedForNacks++;
    const asked: Message = {
      kind: 'indirectPing',
      sequence: this.#sequence,
      target: target.address,
      port: target.port,
      name: target.name,
      nack,
      sourceAddress: self.address,
      sourcePort: self.port,
      sourceName: self.name,
    };
    this.#parts.outgoing.send(helper, [asked]);
  }

  #judge(): void {
    const target = this.#target;
    if (!target) return;
    const { awareness, self } = this.#parts;
    if (this.#reachedByTcp) {
      awareness.add(-1);
      this.#end();
      return;
    }
    // Helpers that are silent too speak for a fault on this side. A nack that came twice counts once at most.
    const silent = Math.max(0, this.#askedForNacks - this.#nacks);
    awareness.add(this.#askedForNacks > 0 ? silent : 1);
    this.#end();
    this.#parts.suspect({ incarnation: target.incarnation, name: target.name, from: self.name });
  }

  #end(): void {
    this.#target = undefined;
    this.#cancel();
    this.#host.ended();
  }
}

/** A ping that says who asks. */
export function pingOf({ self }: ProberParts, sequence: number, name: string): Message {
  return {
    kind: 'ping',
    sequence,
    name,
    sourceAddress: self.address,
    sourcePort: self.port,
    sourceName: self.name,
  };
}
