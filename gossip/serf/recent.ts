/** As many times back as agents of Serf look: what is older was heard, or is of no use any more. */
export const TIMES = 512;
/** Different things at one time: members that never heard of each other say things at the same time. */
const MOST_AT_ONCE = 64;

interface Moment {
  readonly time: number;
  readonly heard: Set<string>;
}

/** What was heard lately, by Lamport time, so that it is taken once. Invariant: 512 times with 64 things each at most. */
export class Recent {
  readonly #moments = new Map<number, Moment>();
  #newest = 0;
  #ignoredBefore = 0;

  /** False where it was heard before, or is too old to tell. */
  add(time: number, key: string): boolean {
    if (time < this.#ignoredBefore || time < this.#newest - TIMES) return false;
    this.#newest = Math.max(this.#newest, time);
    const place = time % TIMES;
    let moment = this.#moments.get(place);
    if (moment?.time !== time) {
      if (moment && moment.time > time) return false;
      moment = { time, heard: new Set() };
      this.#moments.set(place, moment);
    }
    if (moment.heard.has(key) || moment.heard.size >= MOST_AT_ONCE) return false;
    moment.heard.add(key);
    return true;
  }

  /** What was said before this time is not for us: we came later. */
  ignoreBefore(time: number): void {
    this.#ignoredBefore = Math.max(this.#ignoredBefore, time);
  }
}
