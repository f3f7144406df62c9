/** One thing to do, as it can be done again: everything follows from its seed. */
export interface Case {
  readonly lane: 'call' | 'attack';
  readonly seed: number;
  /** Id of the process. */
  readonly target: string;
  /** Path of the method, or name of the attack. */
  readonly name: string;
  readonly manner?: string;
  /** What was sent, for people: long messages are cut. */
  readonly sent?: readonly string[];
}

export interface Finding {
  readonly fault: string;
  count: number;
  readonly first?: Case;
}

/** What was found, each defect once. */
export class Findings {
  readonly #found = new Map<string, Finding>();

  /** True the first time. */
  add(fault: string, first?: Case): boolean {
    const key = fault.replaceAll(/\d+/g, '#').slice(0, 120);
    const known = this.#found.get(key);
    if (known) known.count++;
    else this.#found.set(key, { fault, count: 1, ...(first && { first }) });
    return !known;
  }

  get all(): readonly Finding[] {
    return [...this.#found.values()];
  }
}
