/**
 * How well this member itself seems to be (Lifeguard's local health): 0 = well. Who is slow, or cut off, blames others less. Probes that succeed lower it; probes that
 * fail without a word from those who were asked to help, accusations that had to be refuted and a stalled event loop raise it.
 */
export class Awareness {
  readonly #worst: number;
  #score = 0;

  /** `maxMultiplier`: the score stays below it. */
  constructor(maxMultiplier: number) {
    this.#worst = maxMultiplier - 1;
  }

  get score(): number {
    return this.#score;
  }

  add(delta: number): void {
    this.#score = Math.min(this.#worst, Math.max(0, this.#score + delta));
  }

  /** A time that this member gives itself. */
  scaled(ms: number): number {
    return ms * (this.#score + 1);
  }
}
