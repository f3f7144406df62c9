import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { BlockDevice } from '../../../services/block/device.js';
import { DEFAULT_BLOCK_LIMITS } from '../../../services/block/limits.js';
import type { FileRef } from '../../../services/storage/failures.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import type { StepKey } from '../../../services/storage/shelf.js';
import { FileStore } from '../../../services/storage/store.js';
import type { Keeper } from '../../power-cut/chain.js';
import type { Life } from '../../power-cut/machine.js';
import type { Random } from '../../../runtime/seeded-random.js';
import { DeviceDepot } from './device-depot.js';

/** What a writer wants of a name. */
interface Wish {
  readonly name: string;
  /** Hash of the content; absent = the file is to be deleted. */
  readonly sha256?: string | undefined;
  readonly step?: StepKey;
}

/** What is noted: a wish, and with a version its fulfilment; `refused` = it will never come true. */
interface Note {
  readonly wish: Wish;
  readonly number: number;
  readonly told?: { readonly version: bigint } | 'refused';
}

/** What somebody who was told all acknowledgements knows of a name. */
interface Known {
  /** The highest version that was told. */
  readonly version: bigint;
  /** Of its content; absent = it was deleted, or never there. */
  readonly sha256?: string | undefined;
  readonly step?: StepKey | undefined;
  /** Wishes that were neither fulfilled nor refused. */
  readonly open: readonly Wish[];
}

type Knowledge = ReadonlyMap<string, Known>;

/** Written by two at a time; the others have one writer each. */
const SHARED = 'shared';
const OWN = ['a', 'b', 'c', 'd'];
const SIZES = [0, 20, 600, 3000, 20_000];
const ROUNDS = 5;
const DEVICE_BYTES = 512 * 1024;
const NOTHING: Known = { version: 0n, open: [] };

/** Says what is not as it must be. */
class BrokenPromise extends Error {}

const sha256Of = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
const refOf = (name: string): FileRef => ({ client: name < 'c' ? 'ann' : 'bob', name });

/** One life of a process with a store: it finds what it must find, then writes, with many writes under way at a time. */
class StoreLife {
  readonly #life: Life;
  readonly #store: FileStore;
  readonly #random: Random;
  #number = 0;

  private constructor(life: Life, store: FileStore, random: Random) {
    this.#life = life;
    this.#store = store;
    this.#random = random;
  }

  static async begin(life: Life, random: Random, depot?: DeviceDepot): Promise<StoreLife> {
    const root = path.join(life.root, 'data', 'storage');
    const options = { now: () => 0, ...(depot && { depot }) };
    const store = await FileStore.open(root, DEFAULT_STORAGE_LIMITS, options);
    await store.freeOrphans(new AbortController().signal);
    return new StoreLife(life, store, random);
  }

  /** Throws BrokenPromise unless everything is as it must be; returns how it is. */
  async find(known: Knowledge): Promise<Knowledge> {
    const found = new Map<string, Known>();
    for (const name of [SHARED, ...OWN]) {
      const expected = known.get(name) ?? NOTHING;
      found.set(name, await this.#found(name, expected));
    }
    const { files } = await this.#store.list();
    for (const { name, version } of files)
      if (version === 0n) throw new BrokenPromise(`${name} is damaged`);
    return found;
  }

  /** A step that was done is not done again; whatever was told, what is written now is later. */
  async goOn(known: Knowledge): Promise<void> {
    for (const name of [SHARED, ...OWN]) {
      const { sha256, step, version } = known.get(name) ?? NOTHING;
      if (step && sha256 !== undefined) {
        const content = await this.#read(name);
        const { version: again } = await this.#write(name, content?.data ?? Buffer.of(), { step });
        if (again !== version) throw new BrokenPromise(`${name}: a step was done twice`);
      }
      const { version: next } = await this.#write(name, Buffer.from('next'), {});
      if (next <= version) throw new BrokenPromise(`${name}: version ${String(next)} came twice`);
      const content = await this.#read(name);
      if (content?.data.toString() !== 'next') throw new BrokenPromise(`${name} is not writable`);
    }
    for (const client of ['ann', 'bob']) {
      const folder = path.join(this.#life.root, 'data', 'storage', client, '.fractory', 'tmp');
      const left = await readdir(folder);
      if (left.length > 0) throw new BrokenPromise(`left in tmp: ${left.join(', ')}`);
    }
  }

  /** Writes, deletes and repeats, several at a time. */
  async work(rounds: number): Promise<void> {
    const writers = [SHARED, SHARED, ...OWN].map(async (name) => {
      for (let round = 0; round < rounds; round++) await this.#change(name);
    });
    await Promise.all(writers);
  }

  async #change(name: string): Promise<void> {
    const number = ++this.#number;
    const kind = this.#random();
    const content = this.#content(name, number);
    const sha256 = sha256Of(content);
    if (name !== SHARED && kind < 0.2)
      await this.#noted({ name }, number, async () => {
        const version = await this.#store.delete(refOf(name));
        return { version };
      });
    else if (name !== SHARED && kind < 0.5) {
      const step = { run: `run-${String(number)}-${sha256.slice(0, 8)}`, step: 's' };
      const wish = { name, sha256, step };
      await this.#noted(wish, number, () => this.#write(name, content, { step }));
    } else if (kind < 0.7) {
      const now = await this.#version(name);
      const ifVersion = now ?? 0n;
      await this.#noted({ name, sha256 }, number, () => this.#write(name, content, { ifVersion }));
    } else await this.#noted({ name, sha256 }, number, () => this.#write(name, content, {}));
  }

  async #noted(
    wish: Wish,
    number: number,
    fulfil: () => Promise<{ readonly version: bigint }>,
  ): Promise<void> {
    const { recorder } = this.#life;
    recorder.note({ wish, number } satisfies Note);
    let told: Note['told'];
    try {
      const { version } = await fulfil();
      told = { version };
    } catch (error) {
      const expected = ['VERSION_MISMATCH', 'FILE_NOT_FOUND'];
      if (!(error instanceof FractoryError) || !expected.includes(error.reason)) throw error;
      told = 'refused';
    }
    recorder.note({ wish, number, told } satisfies Note);
  }

  async #found(name: string, known: Known): Promise<Known> {
    const content = await this.#read(name);
    const { version, sha256, step, open } = known;
    if (!content) {
      const isDeleted = open.some((wish) => wish.sha256 === undefined);
      if (sha256 !== undefined && !isDeleted) throw new BrokenPromise(`${name} is lost`);
      return { version, open: [] };
    }
    const found = { version: content.version, sha256: sha256Of(content.data), open: [] };
    if (found.version === version && found.sha256 === sha256) return { ...found, step };
    const isOpen = open.some((wish) => wish.sha256 === found.sha256);
    if (isOpen && found.version > version) return found;
    throw new BrokenPromise(
      `${name} has version ${String(found.version)}, ${String(version)} was told`,
    );
  }

  async #read(name: string): Promise<{ data: Buffer; version: bigint } | undefined> {
    try {
      const { data, file } = await this.#store.readAll(refOf(name), 1_000_000, 'test');
      return { data, version: file.version };
    } catch (error) {
      if (error instanceof FractoryError && error.reason === 'FILE_NOT_FOUND') return undefined;
      throw new BrokenPromise(`${name} can not be read: ${String(error)}`, { cause: error });
    }
  }

  async #version(name: string): Promise<bigint | undefined> {
    return (await this.#read(name))?.version;
  }

  #write(
    name: string,
    content: Buffer,
    options: { ifVersion?: bigint; step?: StepKey },
  ): Promise<{ readonly version: bigint }> {
    return this.#store.write(refOf(name), [content], options);
  }

  #content(name: string, number: number): Buffer {
    const size = SIZES[Math.floor(this.#random() * SIZES.length)] ?? 0;
    const text = `${name} ${String(number)} ${String(this.#random())}\n`;
    return Buffer.from(text.repeat(Math.ceil(size / text.length)));
  }
}

/** What is known after these notes. */
function learn(before: Knowledge, notes: readonly unknown[]): Knowledge {
  const known = new Map(before);
  const open = new Map<number, Wish>();
  for (const { wish, number, told } of notes as readonly Note[]) {
    if (told === undefined) {
      open.set(number, wish);
      continue;
    }
    open.delete(number);
    if (told === 'refused') continue;
    const { version } = known.get(wish.name) ?? NOTHING;
    if (told.version < version) continue;
    const { sha256, step } = wish;
    known.set(wish.name, { version: told.version, sha256, step, open: [] });
  }
  for (const name of [SHARED, ...OWN]) {
    const wishes = [...open.values()].filter((wish) => wish.name === name);
    const now = known.get(name) ?? NOTHING;
    known.set(name, { ...now, open: [...now.open, ...wishes] });
  }
  return known;
}

/** A process that serves a store, as a power cut finds it. */
export const storeKeeper: Keeper<Knowledge> = {
  nothing: new Map(),
  learn,
  async find(life, random, known) {
    const store = await StoreLife.begin(life, random);
    return store.find(known);
  },
  async probe(life, random, known) {
    const store = await StoreLife.begin(life, random);
    await store.goOn(known);
  },
  async work(life, random, known, found) {
    const store = await StoreLife.begin(life, random);
    found(await store.find(known));
    await store.work(ROUNDS);
  },
};

/** The same with a store whose content lies on a block device: the power of both fails at once. */
export const layeredKeeper: Keeper<Knowledge> = {
  nothing: new Map(),
  learn,
  find: (life, random, known) => layered(life, random, (store) => store.find(known)),
  probe: (life, random, known) => layered(life, random, (store) => store.goOn(known)),
  work: (life, random, known, found) =>
    layered(life, random, async (store) => {
      found(await store.find(known));
      await store.work(ROUNDS);
    }),
};

async function layered<T>(
  life: Life,
  random: Random,
  use: (store: StoreLife) => Promise<T>,
): Promise<T> {
  await using device = await BlockDevice.open({
    ...{ file: path.join(life.root, 'data', 'block', 'block-1.img'), name: 'block-1' },
    ...{ capacityBytes: DEVICE_BYTES, blockBytes: 512, limits: DEFAULT_BLOCK_LIMITS },
    ...{ log: silentLogger(), clock: new ManualClock() },
  });
  const depot = new DeviceDepot(device);
  const result = await use(await StoreLife.begin(life, random, depot));
  await depot.settled();
  return result;
}
