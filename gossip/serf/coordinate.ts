/**
 * Where a member is in a space whose distances are round trips: Vivaldi (Dabek et al., SIGCOMM 2004) with a height for the way to the network and, on top, an adjustment for what
 * no space can show (Lee et al., 2010). All are seconds, but for the error, which has no unit.
 */
export interface Coordinate {
  readonly vector: readonly number[];
  /** How much it is to be doubted: 0 = not at all. */
  readonly error: number;
  readonly adjustment: number;
  readonly height: number;
}

/** As agents of Serf have them: members that differ in these can't compare themselves. */
export const DIMENSIONS = 8;
const MOST_ERROR = 1.5;
/** How much one observation counts at most, for the error and for the place. */
const ERROR_SHARE = 0.25;
const PLACE_SHARE = 0.25;
const LEAST_HEIGHT = 10e-6;
const ADJUSTMENT_SAMPLES = 20;
/** The median of so many round trips with one member is believed: a single slow one says little (Ledlie et al., NSDI 2007). */
const LATENCY_SAMPLES = 3;
/** The further all drift from the origin, the more they are drawn back; so far it is as strong as the way itself. */
const GRAVITY_SECONDS = 150;
/** Less is on top of each other. */
const SAME_SECONDS = 1e-6;
const LONGEST_ROUND_TRIP_SECONDS = 10;

const ORIGIN: Coordinate = {
  ...{ vector: Array.from({ length: DIMENSIONS }, () => 0), error: MOST_ERROR },
  ...{ adjustment: 0, height: LEAST_HEIGHT },
};

/** Estimated round trip between two members, s. */
export function distance(one: Coordinate, other: Coordinate): number {
  const plain = plainDistance(one, other);
  const adjusted = plain + one.adjustment + other.adjustment;
  return adjusted > 0 ? adjusted : plain;
}

/** The coordinate of this member, as it learns from round trips. Members that are asked about are remembered as long as the caller says. */
export class NetworkPlace {
  readonly #random: () => number;
  readonly #latencies = new Map<string, number[]>();
  readonly #misses = Array.from({ length: ADJUSTMENT_SAMPLES }, () => 0);
  #missesAt = 0;
  #coordinate = ORIGIN;

  /** `random`: 0 to 1, not 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  get coordinate(): Coordinate {
    return this.#coordinate;
  }

  /** A member at `other` answered after so long. False where that can't be true: nothing is learnt from it. */
  observe(name: string, other: Coordinate, roundTripSeconds: number): boolean {
    const possible = roundTripSeconds >= 0 && roundTripSeconds <= LONGEST_ROUND_TRIP_SECONDS;
    if (!possible || !isPlausible(other)) return false;
    const seconds = this.#filtered(name, roundTripSeconds);
    this.#coordinate = this.#moved(other, seconds);
    this.#coordinate = this.#adjusted(other, seconds);
    this.#coordinate = this.#drawnBack();
    if (!isSound(this.#coordinate)) this.#coordinate = ORIGIN;
    return true;
  }

  /** A member is gone: what was measured with it is of no use to who comes under its name. */
  forget(name: string): void {
    this.#latencies.delete(name);
  }

  #filtered(name: string, seconds: number): number {
    const samples = [...(this.#latencies.get(name) ?? []), seconds].slice(-LATENCY_SAMPLES);
    this.#latencies.set(name, samples);
    const sorted = samples.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? seconds;
  }

  /** Pulled or pushed by a spring between the two, the more the less it is sure of itself. */
  #moved(other: Coordinate, measured: number): Coordinate {
    const own = this.#coordinate;
    const seconds = Math.max(measured, SAME_SECONDS);
    const expected = distance(own, other);
    const miss = Math.abs(expected - seconds) / seconds;
    const weight = own.error / Math.max(own.error + other.error, SAME_SECONDS);
    const share = ERROR_SHARE * weight;
    const error = Math.min(MOST_ERROR, miss * share + own.error * (1 - share));
    const force = PLACE_SHARE * weight * (seconds - expected);
    return this.#pushed({ ...own, error }, force, other);
  }

  #adjusted(other: Coordinate, seconds: number): Coordinate {
    this.#misses[this.#missesAt] = seconds - plainDistance(this.#coordinate, other);
    this.#missesAt = (this.#missesAt + 1) % ADJUSTMENT_SAMPLES;
    const sum = this.#misses.reduce((all, miss) => all + miss, 0);
    // Half of it: the other end adds its own.
    return { ...this.#coordinate, adjustment: sum / (2 * ADJUSTMENT_SAMPLES) };
  }

  #drawnBack(): Coordinate {
    const force = -((distance(ORIGIN, this.#coordinate) / GRAVITY_SECONDS) ** 2);
    return this.#pushed(this.#coordinate, force, ORIGIN);
  }

  /** Away from the other by so many seconds; a negative force draws it nearer. */
  #pushed(own: Coordinate, force: number, from: Coordinate): Coordinate {
    const away = own.vector.map((value, at) => value - (from.vector[at] ?? 0));
    const far = length(away);
    const isApart = far > SAME_SECONDS;
    const unit = isApart ? away.map((value) => value / far) : this.#anyDirection();
    const vector = own.vector.map((value, at) => value + force * (unit[at] ?? 0));
    if (!isApart) return { ...own, vector };
    const height = own.height + (force * (own.height + from.height)) / far;
    return { ...own, vector, height: Math.max(LEAST_HEIGHT, height) };
  }

  #anyDirection(): number[] {
    const drawn = Array.from({ length: DIMENSIONS }, () => this.#random() - 0.5);
    const long = length(drawn);
    if (long > SAME_SECONDS) return drawn.map((value) => value / long);
    return drawn.map((_, at) => (at === 0 ? 1 : 0));
  }
}

/** What another member says of itself may be anything. */
export function isSound({ vector, error, adjustment, height }: Coordinate): boolean {
  return vector.length === DIMENSIONS && [...vector, error, adjustment, height].every(isFinite);
}

/** What a member says that measured round trips itself: a negative error or height, or a place hours away, would draw ours there at one stroke. */
function isPlausible(other: Coordinate): boolean {
  const { vector, error, adjustment, height } = other;
  const isNear = [...vector, adjustment, height].every(
    (seconds) => Math.abs(seconds) <= LONGEST_ROUND_TRIP_SECONDS,
  );
  return isSound(other) && isNear && height >= 0 && error >= 0 && error <= MOST_ERROR;
}

function plainDistance(one: Coordinate, other: Coordinate): number {
  const between = one.vector.map((value, at) => value - (other.vector[at] ?? 0));
  return length(between) + one.height + other.height;
}

function length(vector: readonly number[]): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}
