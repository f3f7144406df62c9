import path from 'node:path';

import { ManualClock } from '../../../runtime/clock.js';
import { silentLogger } from '../../../runtime/logger.js';
import { BlockDevice } from '../../../services/block/device.js';
import { DEFAULT_BLOCK_LIMITS } from '../../../services/block/limits.js';
import type { Keeper } from '../../power-cut/chain.js';
import type { Life } from '../../power-cut/machine.js';
import type { Random } from '../../../runtime/seeded-random.js';
import { BLOCK, readWhole } from './fixture.js';

const CAPACITY_BLOCKS = 96;
const WRITERS = 3;
const ROUNDS = 7;

/** Extents that were told to be there, with the letter that fills them; undefined = they are there with whatever content. */
export interface KnownExtents {
  readonly held: ReadonlyMap<string, string | undefined>;
  /** Of which nobody knows whether they are there. */
  readonly leaving: ReadonlySet<string>;
}

type Note =
  | { readonly act: 'has'; readonly id: string }
  | { readonly act: 'filled'; readonly id: string; readonly letter: string }
  | { readonly act: 'frees' | 'freed'; readonly id: string };

/** A process that serves a block device, as a power cut finds it. */
export const deviceKeeper: Keeper<KnownExtents> = {
  nothing: { held: new Map(), leaving: new Set() },
  learn,
  async find(life, _random, known) {
    await using device = await open(life);
    return await find(device, known);
  },
  async probe(life, _random, { held }) {
    await using device = await open(life);
    // What is free is set aside without harm to what is not, and is zero, whatever it held.
    const { capacityBytes, allocatedBytes } = device.usage();
    if (capacityBytes > allocatedBytes) {
      const { id } = await device.allocate(capacityBytes - allocatedBytes);
      await using content = device.content([id]);
      const data = await readWhole(content);
      if (!data.equals(Buffer.alloc(data.length))) throw new Error('free blocks are not zero');
      await content.write(0, Buffer.alloc(data.length, 'x'));
    }
    await find(device, { held, leaving: new Set() });
  },
  async work(life, random, known, found) {
    await using device = await open(life);
    const now = await find(device, known);
    found(now);
    const waiting = [...now.held.keys()];
    await Promise.all(Array.from({ length: WRITERS }, () => use(device, life, random, waiting)));
  },
};

function open(life: Life): Promise<BlockDevice> {
  return BlockDevice.open({
    ...{ file: path.join(life.root, 'data', 'block', 'block-1.img'), name: 'block-1' },
    ...{ capacityBytes: CAPACITY_BLOCKS * BLOCK, blockBytes: BLOCK, limits: DEFAULT_BLOCK_LIMITS },
    ...{ log: silentLogger(), compactBytes: 1200, clock: new ManualClock() },
  });
}

async function use(
  device: BlockDevice,
  { recorder }: Life,
  random: Random,
  held: string[],
): Promise<void> {
  const note = (one: Note): void => {
    recorder.note(one);
  };
  for (let round = 0; round < ROUNDS; round++) {
    if (held.length > 4 || (held.length > 0 && random() < 0.3)) {
      const id = held.shift() ?? '';
      note({ act: 'frees', id });
      await device.free([id]);
      note({ act: 'freed', id });
      if (random() < 0.5) await device.scrubbed();
      continue;
    }
    const { id, sizeBytes } = await device.allocate(BLOCK * (1 + Math.floor(random() * 6)));
    note({ act: 'has', id });
    const letter = String.fromCharCode(97 + Math.floor(random() * 26));
    {
      await using content = device.content([id]);
      await content.write(0, Buffer.alloc(sizeBytes, letter));
    }
    await device.sync([id]);
    note({ act: 'filled', id, letter });
    held.push(id);
  }
}

async function find(device: BlockDevice, { held, leaving }: KnownExtents): Promise<KnownExtents> {
  const found = new Map<string, string | undefined>();
  for (const [id, letter] of held) {
    let content;
    try {
      content = device.content([id]);
    } catch (error) {
      if (leaving.has(id)) continue;
      throw new Error(`extent ${id} is lost: ${String(error)}`, { cause: error });
    }
    await using owned = content;
    const data = await readWhole(owned);
    if (letter !== undefined && !data.equals(Buffer.alloc(data.length, letter)))
      throw new Error(`extent ${id} does not hold what was written`);
    found.set(id, letter);
  }
  return { held: found, leaving: new Set() };
}

function learn(before: KnownExtents, notes: readonly unknown[]): KnownExtents {
  const held = new Map(before.held);
  const leaving = new Set(before.leaving);
  for (const note of notes as readonly Note[])
    switch (note.act) {
      case 'has':
        held.set(note.id, undefined);
        break;
      case 'filled':
        held.set(note.id, note.letter);
        break;
      case 'frees':
        leaving.add(note.id);
        break;
      case 'freed':
        held.delete(note.id);
        leaving.delete(note.id);
        break;
    }
  return { held, leaving };
}
