import { createHash } from 'node:crypto';

import {
  decodeUserEvent,
  encodeUserEvent,
  MAX_EVENT_BYTES,
  MAX_EVENT_NAME_BYTES,
} from './events.js';
import type { UserEvent } from './events.js';
import { invalidArgument } from '../../runtime/errors.js';
import { LamportTime } from './lamport-time.js';
import { Recent, TIMES } from './recent.js';
import type { EventsAt } from './state.js';

/** Of what is told again to who missed it, bytes: an exchange is no archive. */
const MOST_TOLD_AGAIN_BYTES = 256 * 1024;

/** Of what is kept for that, by when it was heard, bytes: who says large things all the time would take memory without end. */
const MOST_KEPT_BYTES = 1024 * 1024;
/** What an event costs, besides its name and payload. */
const EVENT_BYTES = 32;

/** User events: each is heard once, whichever way it comes, and the latest are told again in exchanges. */
export class EventBoard {
  readonly time = new LamportTime();
  readonly #recent = new Recent();
  /** To be told again, the last one heard at the end. */
  #kept: UserEvent[] = [];
  #keptBytes = 0;
  readonly #heard: (event: UserEvent) => void;
  readonly #isTold: (name: string) => boolean;

  /** `isTold`: which events are told again in exchanges. */
  constructor(heard: (event: UserEvent) => void, isTold: (name: string) => boolean) {
    this.#heard = heard;
    this.#isTold = isTold;
  }

  /** The message for an event of this member's own. INVALID_ARGUMENT where a packet, which has `roomBytes` for it, can't take it: then nothing is kept of it. */
  own({ name, payload, coalesce }: Omit<UserEvent, 'time'>, roomBytes: number): Uint8Array {
    const bytes = Buffer.byteLength(name);
    if (bytes === 0 || bytes > MAX_EVENT_NAME_BYTES)
      throw invalidArgument(
        'name',
        `has ${String(bytes)} bytes, expected 1 to ${String(MAX_EVENT_NAME_BYTES)}`,
      );
    const most = Math.min(roomBytes, MAX_EVENT_BYTES);
    const event = { time: this.time.now, name, payload, coalesce };
    const message = encodeUserEvent(event);
    if (message.length > most) {
      const sizes = `takes ${String(message.length)} bytes, there is room for ${String(most)}`;
      throw invalidArgument('event', sizes);
    }
    this.time.take();
    this.#recent.add(event.time, keyOf(event));
    this.#keep(event);
    return message;
  }

  /** Whether it is news, and to be passed on. Throws a WireError. */
  onEvent(message: Uint8Array): boolean {
    return this.#take(decodeUserEvent(message));
  }

  /** This member has only come: what was before is not for it. */
  ignoreBefore(time: number): void {
    this.#recent.ignoreBefore(time);
  }

  /** What another member heard. Throws a WireError. */
  merge({ time, events }: EventsAt): void {
    for (const { name, payload } of events)
      if (name !== '') this.#take({ time, name, payload, coalesce: false });
  }

  /** To be told again, the newest first. */
  toldAgain(): EventsAt[] {
    const again = new Map<number, UserEvent[]>();
    let bytes = 0;
    for (const event of this.#kept.toSorted((one, other) => other.time - one.time)) {
      bytes += bytesOf(event);
      if (bytes > MOST_TOLD_AGAIN_BYTES || again.size >= TIMES) break;
      again.set(event.time, [...(again.get(event.time) ?? []), event]);
    }
    return [...again].map(([time, events]) => ({ time, events }));
  }

  #take(event: UserEvent): boolean {
    this.time.witness(event.time);
    if (!this.#recent.add(event.time, keyOf(event))) return false;
    this.#keep(event);
    this.#heard(event);
    return true;
  }

  #keep(event: UserEvent): void {
    if (!this.#isTold(event.name)) return;
    this.#kept.push(event);
    this.#keptBytes += bytesOf(event);
    if (this.#keptBytes <= MOST_KEPT_BYTES) return;
    // Half of it goes at once, so that it is not moved each time.
    const { length } = this.#kept;
    this.#kept = this.#kept.slice(length - (length >> 1));
    this.#keptBytes = this.#kept.reduce((sum, kept) => sum + bytesOf(kept), 0);
  }
}

/** Short, however long the event: many are remembered. */
function keyOf({ name, payload }: UserEvent): string {
  return createHash('sha1').update(name).update('\0').update(payload).digest('base64');
}

function bytesOf({ name, payload }: UserEvent): number {
  return name.length + payload.length + EVENT_BYTES;
}
