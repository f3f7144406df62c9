import { isGone, sameEndpoint } from '../core/member.js';
import type { Endpoint, MemberView } from '../core/member.js';
import { decodeQuery, decodeRelay, encodeAnswer, encodeRelay, QueryFlag } from './queries.js';
import type { Query } from './queries.js';
import { isFor } from './query-filters.js';
import { Recent } from './recent.js';
import { internalAnswer } from './internal-queries.js';
import type { InternalFacts } from './internal-queries.js';
import { LamportTime } from './lamport-time.js';
import type { Tags } from './tags.js';

/** What answers go out through. */
export interface QueryParts {
  readonly facts: InternalFacts;
  readonly random: () => number;
  readonly tags: () => Tags;
  readonly members: () => readonly MemberView[];
  /** One packet, which may be lost. */
  readonly send: (to: Endpoint, message: Uint8Array) => void;
  /** An answer that took its time could not be given: a bug of ours or of the program on top. */
  readonly failed: (error: unknown) => void;
}

/** Queries of agents of Serf: heard once, acknowledged, answered where an agent does by itself, and passed on. Programs here answer none. */
export class QueryDesk {
  readonly time = new LamportTime();
  readonly #recent = new Recent();
  readonly #parts: QueryParts;

  constructor(parts: QueryParts) {
    this.#parts = parts;
  }

  /** Whether it is to be passed on. Throws a WireError. */
  onQuery(message: Uint8Array): boolean {
    const query = decodeQuery(message);
    this.time.witness(query.time);
    if (!this.#recent.add(query.time, String(query.id))) return false;
    const { facts, tags } = this.#parts;
    if (isFor(query.filters, facts.name, tags())) this.#answer(query);
    return (query.flags & QueryFlag.noBroadcast) === 0;
  }

  /** An answer of somebody to somebody else. Members only: nobody else is sent what a stranger likes. */
  onRelay(message: Uint8Array): void {
    const { to, inner } = decodeRelay(message);
    if (inner.length > 0 && this.#parts.members().some((view) => sameEndpoint(view, to)))
      this.#parts.send(to, inner);
  }

  #answer(query: Query): void {
    const { facts } = this.#parts;
    if ((query.flags & QueryFlag.ack) !== 0) this.#give(query, QueryFlag.ack, new Uint8Array());
    const answer = internalAnswer(query.name, query.payload, facts);
    const give = (payload: Uint8Array): void => {
      this.#give(query, 0, payload);
    };
    if (answer instanceof Uint8Array) give(answer);
    else answer?.then(give).catch(this.#parts.failed);
  }

  #give(query: Query, flags: number, payload: Uint8Array): void {
    const { time, id, address, port, source } = query;
    const { facts, send } = this.#parts;
    const to = { address, port };
    const given = encodeAnswer({ time, id, from: facts.name, flags, payload });
    send(to, given);
    if (query.relays === 0) return;
    const relayed = encodeRelay(to, source, given);
    for (const helper of this.#helpers(query.relays, to)) send(helper, relayed);
  }

  #helpers(count: number, besides: Endpoint): MemberView[] {
    const { members, facts, random } = this.#parts;
    const others = members().filter(
      (view) => view.name !== facts.name && !isGone(view) && !sameEndpoint(view, besides),
    );
    const picked: MemberView[] = [];
    while (picked.length < count && others.length > 0)
      picked.push(...others.splice(Math.floor(random() * others.length), 1));
    return picked;
  }
}
