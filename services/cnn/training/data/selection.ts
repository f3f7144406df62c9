import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Placement, Side } from './placement.js';

/** A picture that was found. */
export interface FoundPicture {
  /** Its place among the files of its source, from 0. */
  readonly index: number;
  /** Its name among the files of its source; see `FileKeys`. */
  readonly key: string;
  readonly path: string;
  readonly label: string;
  readonly side: Side | 'open';
  /** Of its content, hex. */
  readonly sha256: string;
}

/** A picture that is used. */
export interface ChosenPicture extends FoundPicture {
  readonly side: Side;
}

export interface Selection {
  /** In the order of their content hashes, so that the order of the files doesn't matter. */
  readonly pictures: readonly ChosenPicture[];
  /** Pictures left out because the same content stands elsewhere in the same class. */
  readonly duplicates: number;
  /** Pictures whose content stands in several classes: none of them can be right. */
  readonly contradictions: readonly FoundPicture[];
  /** Folders said which pictures validate. */
  readonly split: 'folders' | 'content';
}

export interface SelectionOptions {
  /** Most pictures of a class, both sides together; 0 = all. */
  readonly sampleLimit: number;
  readonly seed: bigint;
  /** Share of the pictures that validate where no folder says so. */
  readonly validationShare: number;
}

/**
 * Chooses the pictures to learn from and those to validate with. Depends on content, classes and folders only. A content stands on one side only,
 * and once: where folders give both, it validates. Lets others have their turn in between.
 */
export async function select(
  found: readonly FoundPicture[],
  options: SelectionOptions,
): Promise<Selection> {
  const { unique, contradictions, duplicates } = await withoutDuplicates(found);
  const split = unique.some(({ side }) => side === 'validation') ? 'folders' : 'content';
  const pictures: ChosenPicture[] = [];
  for (const ofClass of (await grouped(unique, ({ label }) => label)).values()) {
    const sample = await inOrder(await sampled(ofClass, options));
    const below = await countBelow(sample, options.validationShare);
    await each(sample, (picture, at) => {
      const validates = split === 'folders' ? picture.side === 'validation' : at < below;
      pictures.push({ ...picture, side: validates ? 'validation' : 'training' });
    });
  }
  return { pictures: await inOrder(pictures), duplicates, contradictions, split };
}

/** Hash over class, side and content of all pictures: same data, same hash, wherever they lie. The pictures are in the order of their contents. */
export async function dataHashOf(
  pictures: readonly Pick<ChosenPicture, 'label' | 'sha256' | 'side'>[],
): Promise<string> {
  const hash = createHash('sha256');
  for (let from = 0; from < pictures.length; from += AT_ONCE) {
    const some = pictures.slice(from, from + AT_ONCE);
    hash.update(some.map(({ label, sha256, side }) => `${sha256} ${side} ${label}\n`).join(''));
    await nextTurn();
  }
  return hash.digest('hex');
}

export function found(
  at: Pick<FoundPicture, 'index' | 'key' | 'path' | 'sha256'>,
  placement: Exclude<Placement, { problem: string }>,
): FoundPicture {
  return { ...at, ...placement };
}

async function withoutDuplicates(found: readonly FoundPicture[]): Promise<{
  unique: FoundPicture[];
  contradictions: FoundPicture[];
  duplicates: number;
}> {
  const unique: FoundPicture[] = [];
  const contradictions: FoundPicture[] = [];
  const groups = await grouped(found, ({ sha256 }) => sha256);
  await each(groups.values(), (same) => {
    const [first] = same;
    if (!first) return;
    if (same.some(({ label }) => label !== first.label)) contradictions.push(...same);
    else unique.push(same.find(({ side }) => side === 'validation') ?? first);
  });
  return {
    unique,
    contradictions,
    duplicates: found.length - unique.length - contradictions.length,
  };
}

/** Where in a content's hash the digits begin that samples are drawn by: those that the split doesn't look at. */
const LOT_DIGITS = 16;

async function sampled(
  pictures: readonly FoundPicture[],
  { sampleLimit, seed }: SelectionOptions,
): Promise<readonly FoundPicture[]> {
  if (sampleLimit === 0 || pictures.length <= sampleLimit) return pictures;
  const turn = createHash('sha256').update(String(seed)).digest('hex').slice(0, 8);
  const key = Number.parseInt(turn, 16);
  const drawn: { readonly picture: FoundPicture; readonly lot: number }[] = [];
  await each(pictures, (picture) => {
    const digits = Number.parseInt(picture.sha256.slice(LOT_DIGITS, LOT_DIGITS + 8), 16);
    drawn.push({ picture, lot: (digits ^ key) >>> 0 });
  });
  const sorted = await boxed(drawn, {
    boxOf: ({ lot }) => lot >>> 24,
    compare: (a, b) => a.lot - b.lot || byContent(a.picture, b.picture),
  });
  return sorted.slice(0, sampleLimit).map(({ picture }) => picture);
}

/** How many of a class validate: by the first 32 bits of the hash, so that a picture stays on its side when others come and go; at least one on both sides. */
async function countBelow(pictures: readonly FoundPicture[], share: number): Promise<number> {
  let below = 0;
  await each(pictures, ({ sha256 }) => {
    if (Number.parseInt(sha256.slice(0, 8), 16) / 2 ** 32 < share) below++;
  });
  return Math.min(Math.max(below, 1), pictures.length - 1);
}

function inOrder<T extends FoundPicture>(pictures: readonly T[]): Promise<readonly T[]> {
  return boxed(pictures, {
    boxOf: ({ sha256 }) => Number.parseInt(sha256.slice(0, 2), 16),
    compare: byContent,
  });
}

/** Sorted: first into boxes of growing numbers, then within each. */
async function boxed<T>(
  items: readonly T[],
  by: { readonly boxOf: (item: T) => number; readonly compare: (a: T, b: T) => number },
): Promise<readonly T[]> {
  const boxes = [...(await grouped(items, by.boxOf))].sort(([a], [b]) => a - b);
  const sorted: T[] = [];
  for (const [, box] of boxes) {
    for (const item of box.sort(by.compare)) sorted.push(item);
    await nextTurn();
  }
  return sorted;
}

function byContent(a: FoundPicture, b: FoundPicture): number {
  return a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : a.index - b.index;
}

async function grouped<T, K>(
  items: readonly T[],
  keyOf: (item: T) => K,
): Promise<ReadonlyMap<K, T[]>> {
  const groups = new Map<K, T[]>();
  await each(items, (item) => {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  });
  return groups;
}

/** Pictures that are worked on in one go: a few milliseconds. */
const AT_ONCE = 4000;

/** Goes through many things and lets others have their turn in between. */
async function each<T>(items: Iterable<T>, work: (item: T, at: number) => void): Promise<void> {
  let at = 0;
  for (const item of items) {
    work(item, at++);
    if (at % AT_ONCE === 0) await nextTurn();
  }
}
