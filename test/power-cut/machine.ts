import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, link, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { interpose } from './interposition.js';
import { isFolderTree, operationsFor, ROOT } from './operations.js';
import type { FileTree, FolderTree, Node, Operation } from './operations.js';
import { Recorder } from './recorder.js';
import { KILLED, powerCut, survivors } from './survivors.js';
import type { Random } from '../../runtime/seeded-random.js';

/** A state of the disk, how it came to be, and what the notes said until then. */
export interface Moment {
  readonly operations: readonly Operation[];
  readonly tree: FolderTree;
}

export interface Life {
  readonly recorder: Recorder;
  /** The disk; it is there and may be empty. */
  readonly root: string;
}

export interface MachineOptions {
  readonly random: Random;
  readonly pretends?: (node: Node) => boolean;
}

export const EMPTY: Moment = { operations: [], tree: { node: ROOT, entries: new Map() } };

/** How a life ends: the process is killed, the machine loses its power, or that and its disk is then copied to another one. */
export const ENDS = ['killed', 'power cut', 'power cut, copied'] as const;
export type End = (typeof ENDS)[number];

/** A machine whose disk can be brought to any moment of its past, with what a power cut then would have left. */
export class Machine implements AsyncDisposable {
  readonly #folder: string;
  readonly #options: MachineOptions;
  #boots = 0;

  private constructor(folder: string, options: MachineOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  static async create(options: MachineOptions): Promise<Machine> {
    // In memory where there is such a place: nothing of it has to last.
    const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    const folder = await realpath(await mkdtemp(path.join(place, 'fractory-power-cut-')));
    return new Machine(folder, options);
  }

  /**
   * Boots with the disk as it is at a moment and lets `work` use it; returns all operations, those that led to the moment included. Whatever
   * `work` leaves unfinished never happens.
   */
  async live(moment: Moment, work: (life: Life) => Promise<void>): Promise<readonly Operation[]> {
    const boot = String(++this.#boots);
    const root = path.join(this.#folder, boot);
    await write(moment.tree, root);
    const recorder = new Recorder(moment.operations, {
      ...{ root, tree: moment.tree, bootId: boot.padEnd(16, '.') },
      ...this.#options,
    });
    const interposed = await interpose(recorder);
    try {
      await work({ recorder, root });
    } finally {
      recorder.end();
      interposed[Symbol.dispose]();
      await rm(root, { recursive: true, force: true });
    }
    return recorder.operations;
  }

  /** How things stand if these were all operations. */
  end(operations: readonly Operation[], how: End): Moment {
    if (how === 'killed') return { operations, tree: survivors(operations, KILLED) };
    const tree = survivors(operations, powerCut(this.#options.random));
    const there = how === 'power cut' ? tree : copyOf(tree);
    return { operations: operationsFor(there), tree: there };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What was noted, up to the end of these operations. */
export function notesOf(operations: readonly Operation[]): unknown[] {
  return operations.flatMap((one) => (one.kind === 'note' ? [one.note] : []));
}

/** The same tree with other inodes. */
function copyOf(tree: FolderTree): FolderTree {
  const BEYOND = 1_000_000;
  const renewed = (node: Node): Node =>
    node.id === ROOT.id ? node : { ...node, id: node.id + BEYOND };
  const copy = (entry: FolderTree | FileTree): FolderTree | FileTree => {
    const node = renewed(entry.node);
    if (!isFolderTree(entry)) return { node, data: entry.data };
    const entries = [...entry.entries].map(([name, one]) => [name, copy(one)] as const);
    return { node, entries: new Map(entries) };
  };
  return copy(tree) as FolderTree;
}

async function write(tree: FolderTree, at: string): Promise<void> {
  const written = new Map<number, string>();
  const visit = async (folder: FolderTree, to: string): Promise<void> => {
    await mkdir(to);
    for (const [name, entry] of folder.entries) {
      const file = path.join(to, name);
      if (isFolderTree(entry)) {
        await visit(entry, file);
        continue;
      }
      const other = written.get(entry.node.id);
      if (other === undefined) await writeFile(file, entry.data);
      else await link(other, file);
      written.set(entry.node.id, file);
    }
  };
  await visit(tree, at);
}
