import { EMPTY, ENDS, Machine, notesOf } from './machine.js';
import type { End, Life, Moment } from './machine.js';
import type { Node } from './operations.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import type { Random } from '../../runtime/seeded-random.js';

/** Lives of a process that keeps something on the disk and promises something of it; `K` is what somebody who was told everything knows. */
export interface Keeper<K> {
  readonly nothing: K;
  /** Throws where a promise is broken. Returns what there is. */
  find(life: Life, random: Random, known: K): Promise<K>;
  /** Uses what there is in all ways that have to work; the result doesn't matter. */
  probe(life: Life, random: Random, known: K): Promise<void>;
  /** Finds what there is, says it, and works on. */
  work(life: Life, random: Random, known: K, found: (known: K) => void): Promise<void>;
  learn(before: K, notes: readonly unknown[]): K;
}

export interface ChainOptions {
  readonly seed: number;
  /** Lives one after the other. */
  readonly lives: number;
  /** Ends of each life that are tried. */
  readonly ends: number;
  readonly pretends?: (node: Node) => boolean;
}

export interface BrokenEnd {
  readonly how: End;
  readonly seed: number;
  readonly life: number;
  /** Operations until the end. */
  readonly at: number;
  readonly error: unknown;
}

/**
 * Lets a machine live several times, each life beginning where the one before ended; tries many ends of each. Returns the number of ends that were
 * tried, and throws at the first that broke a promise.
 */
export async function chain<K>(keeper: Keeper<K>, options: ChainOptions): Promise<number> {
  const { seed, lives, ends, pretends } = options;
  const random = seededRandom(seed);
  await using machine = await Machine.create({ random, ...(pretends && { pretends }) });
  let moment: Moment = EMPTY;
  let known = keeper.nothing;
  let tried = 0;
  for (let life = 0; life < lives; life++) {
    const begun = moment.operations.length;
    let base = known;
    /** Notes from here on are of this life. */
    let foundAt = Infinity;
    const operations = await machine.live(moment, (one) =>
      keeper.work(one, random, known, (found) => {
        base = found;
        foundAt = one.recorder.operations.length;
      }),
    );
    for (let end = 0; end < ends; end++) {
      const at = begun + 1 + Math.floor(random() * (operations.length - begun));
      const how = ENDS[Math.floor(random() * ENDS.length)] ?? 'killed';
      const cut = operations.slice(0, at);
      const next = machine.end(cut, how);
      const before = at < foundAt ? known : base;
      const told = keeper.learn(before, notesOf(cut.slice(begun)));
      try {
        await machine.live(next, async (one) => {
          const found = await keeper.find(one, random, told);
          await keeper.probe(one, random, found);
        });
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        throw new Error(
          `seed ${String(seed)}, life ${String(life + 1)}, ${how} after operation ${String(at)} of ${String(operations.length)}: ${what}`,
          { cause: error },
        );
      }
      tried++;
      if (end < ends - 1) continue;
      moment = next;
      known = told;
    }
  }
  return tried;
}
