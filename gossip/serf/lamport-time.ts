/** Nobody has said so much: a time beyond it is made up, and taken it would leave no later one for anybody. */
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

  /** Something was said at this time. False where that can't be. */
  witness(time: number): boolean {
    if (time > LAST) return false;
    if (time >= this.#next) this.#next = time + 1;
    return true;
  }
}
