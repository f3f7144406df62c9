import { WireError } from '../wire/wire-error.js';

/** Nobody says so much before the others hear of it: a time further ahead is made up. */
const FURTHEST_AHEAD = 2 ** 32;
/** Nobody has said so much at all: a clock taken so far would leave no later time for anybody. */
const LAST = 2 ** 52;

/** A clock that only goes on when something is said (Lamport, 1978): it shows the time of the next thing that this member says, which is later than all that it heard of. */
export class LamportTime {
  #next = 1;

  get now(): number {
    return this.#next;
  }

  /** The time of something that this member says. */
  take(): number {
    return this.#next++;
  }

  /** Something was said at this time. Throws a WireError where that can't be. */
  witness(time: number): void {
    this.#pass(time, Math.min(LAST, this.#next + FURTHEST_AHEAD));
  }

  /** Whom this member joins has heard all up to this time, however much that is. Throws a WireError where that can't be. */
  follow(time: number): void {
    this.#pass(time, LAST);
  }

  #pass(time: number, last: number): void {
    if (time > last)
      throw new WireError('too_large', `time ${String(time)}, at most ${String(last)}`);
    if (time >= this.#next) this.#next = time + 1;
  }
}
