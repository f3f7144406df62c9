import type { PixelInput } from '../serving.js';

/** Numbers for pixel inputs, so that each thread is told only once what they are. */
export class PixelInputNumbers {
  readonly #numbers = new WeakMap<PixelInput, number>();
  #count = 0;

  of(input: PixelInput): number {
    let number = this.#numbers.get(input);
    if (number === undefined) this.#numbers.set(input, (number = ++this.#count));
    return number;
  }
}

/** Which pixel inputs a thread was told. */
export class ToldInputs {
  readonly #told = new Set<number>();
  #generation = 0;

  /** Those that this thread doesn't know yet; it knows them from then on. */
  news(generation: number, used: ReadonlyMap<number, PixelInput>): [number, PixelInput][] {
    if (generation !== this.#generation) this.#told.clear();
    this.#generation = generation;
    const news = [...used].filter(([number]) => !this.#told.has(number));
    for (const [number] of news) this.#told.add(number);
    return news;
  }
}
