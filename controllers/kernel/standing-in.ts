import type { Clock } from '../../runtime/clock.js';
import type { Member } from '../../zookeeper/coordinator.js';

/** What a fellow member of the same type says of its own connection with the coordinator; `gone`: its process has ended. */
export type FellowAnswer = 'cut-off' | 'coordinated' | 'gone' | 'silent';

export interface StandingInParts {
  /** The other members of this member's type. */
  readonly fellows: () => readonly Member[];
  readonly ask: (fellow: Member) => Promise<FellowAnswer>;
  /** Hears after each round. */
  readonly onRound: () => void;
  readonly clock: Clock;
}

/** Between the beginnings of two rounds, ms. */
const ROUND_MS = 200;
/** What a round finds holds for so long from its beginning, ms. */
export const VALID_MS = 600;
/**
 * Whoever comes back to the coordinator waits so long before it begins to lead: until then it may have told another that it is cut off. Longer than
 * `VALID_MS`, whatever the clocks.
 */
export const HOLD_OFF_MS = 1000;

/**
 * A leader that has lost the coordinator may go on as long as nobody can take its place: all its fellows say that they can't reach it either, so it is the
 * coordinator that is away, and not this member. A fellow that can't be asked might lead by now, and ends it.
 */
export class StandingIn {
  readonly #parts: StandingInParts;
  #untilMs = -Infinity;
  #asking = false;

  constructor(parts: StandingInParts) {
    this.#parts = parts;
  }

  /** Until when nobody else leads, by what the last round found; monotonic ms. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** Begins to ask unless it is asking; ends by itself when `isWanted` says no. */
  begin(isWanted: () => boolean): void {
    if (this.#asking) return;
    this.#asking = true;
    void this.#rounds(isWanted);
  }

  async #rounds(isWanted: () => boolean): Promise<void> {
    const { clock, fellows, ask } = this.#parts;
    if (!isWanted()) {
      this.#asking = false;
      return;
    }
    const begunAtMs = clock.monotonicMs();
    const answers = await Promise.all(fellows().map(ask));
    const isFree = answers.every((answer) => answer === 'cut-off' || answer === 'gone');
    this.#untilMs = isFree ? begunAtMs + VALID_MS : -Infinity;
    this.#parts.onRound();
    clock.schedule(Math.max(1, begunAtMs + ROUND_MS - clock.monotonicMs()), () => {
      void this.#rounds(isWanted);
    });
  }
}
