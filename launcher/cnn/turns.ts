import type { CnnMember } from './members.js';

/** How long a member that failed is not asked while there are others, ms. */
const AVOIDED_MS = 2000;

/** Which member is asked next: the one with the fewest calls under way; those that failed lately only where there is no other. */
export class Turns {
  readonly #nowMs: () => number;
  readonly #underWay = new Map<string, number>();
  readonly #avoidedUntilMs = new Map<string, number>();

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Undefined only where there are no members. Give it back with `end`. */
  begin(members: readonly CnnMember[]): CnnMember | undefined {
    const now = this.#nowMs();
    const trusted = members.filter(
      ({ address }) => (this.#avoidedUntilMs.get(address) ?? 0) <= now,
    );
    const among = trusted.length > 0 ? trusted : members;
    const [first, ...others] = among;
    if (!first) return undefined;
    const load = ({ address }: CnnMember): number => this.#underWay.get(address) ?? 0;
    const chosen = others.reduce((best, one) => (load(one) < load(best) ? one : best), first);
    this.#underWay.set(chosen.address, load(chosen) + 1);
    return chosen;
  }

  /** The call to that member is over. */
  end({ address }: CnnMember, wellBehaved: boolean): void {
    const left = (this.#underWay.get(address) ?? 1) - 1;
    if (left > 0) this.#underWay.set(address, left);
    else this.#underWay.delete(address);
    if (!wellBehaved) this.#avoidedUntilMs.set(address, this.#nowMs() + AVOIDED_MS);
  }
}
