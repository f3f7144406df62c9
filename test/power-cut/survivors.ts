import type { Random } from '../../runtime/seeded-random.js';
import { ROOT } from './operations.js';
import type { FileTree, FolderTree, Node, Operation } from './operations.js';

/** What becomes of that which nobody has synced. */
export interface Fate {
  /** Whether a change of names is there. */
  entry(): boolean;
  /** Whether the old name of a file that was moved to another folder is gone, too. */
  oldName(): boolean;
  /** What is there of the `length` bytes of a write: which sectors, and whether the file has become longer all the same. */
  data(length: number): { readonly sectors: readonly boolean[]; readonly grows: boolean };
}

export const SECTOR_BYTES = 512;

/** The process died and the machine did not: all that was done is there. */
export const KILLED: Fate = {
  entry: () => true,
  oldName: () => true,
  data: (length) => ({ sectors: sectorsOf(length).map(() => true), grows: true }),
};

/**
 * The power went. What was not synced is there or not, each operation for itself and in no order:
 *
 * - a name that was given, taken or moved is there once its folder was synced; syncing a file says nothing of its name, and syncing
 *   a folder nothing of the name that it has itself;
 * - a rename within a folder happens whole or not at all, and a name that it replaces is never missing; between folders, the new name may
 *   be there and the old one still, never neither;
 * - bytes are there once their file was synced after they had been written; before, any of their sectors are, and the file may have become
 *   longer with zeros in their place.
 *
 * That is more than journaling file systems let happen, and what POSIX permits.
 */
export function powerCut(random: Random): Fate {
  const share = [0, 0.2, 0.5, 0.8, 1][Math.floor(random() * 5)] ?? 0;
  const chance = (): boolean => random() < share;
  return {
    entry: chance,
    oldName: () => random() < 0.75,
    data: (length) => {
      const whole = random();
      const sectors = sectorsOf(length).map(() =>
        whole < 0.4 ? false : whole < 0.6 ? true : random() < 0.5,
      );
      return { sectors, grows: random() < 0.5 };
    },
  };
}

interface Change {
  readonly folder: number;
  readonly name: string;
  readonly node: Node | undefined;
  readonly operation: number;
  isDurable: boolean;
}

type Write = Extract<Operation, { kind: 'data' | 'size' }>;

/** What is on the disk after these operations and an end of that kind. */
export function survivors(operations: readonly Operation[], fate: Fate): FolderTree {
  const changes: Change[][] = [];
  const writes = new Map<number, { all: Write[]; durable: number }>();
  for (const [index, operation] of operations.entries())
    switch (operation.kind) {
      case 'entry':
        changes.push(
          operation.changes.map(({ folder, name, node }) => ({
            ...{ folder, name, node, operation: index, isDurable: false },
          })),
        );
        break;
      case 'data':
      case 'size': {
        const { all } = writesOf(writes, operation.file);
        all.push(operation);
        break;
      }
      case 'sync': {
        syncFolder(changes, operation.node);
        const file = writes.get(operation.node);
        if (file) file.durable = file.all.length;
        break;
      }
      case 'note':
        break;
    }
  const entries = entriesOf(changes, fate);
  return treeOf(ROOT, entries, (file) => dataOf(writes.get(file), fate));
}

function writesOf(writes: Map<number, { all: Write[]; durable: number }>, file: number) {
  const known = writes.get(file) ?? { all: [], durable: 0 };
  writes.set(file, known);
  return known;
}

/** The old name of a moved file goes durably only where the new one is durable as well. */
function syncFolder(changes: readonly Change[][], folder: number): void {
  for (const [first, second] of changes) {
    if (second?.folder === folder) second.isDurable = true;
    if (first && (first.folder === folder || second?.folder === folder)) {
      first.isDurable = true;
      if (second?.folder === first.folder) second.isDurable = true;
    }
  }
}

/** By folder, what its names mean. */
function entriesOf(changes: readonly Change[][], fate: Fate): Map<number, Map<string, Node>> {
  const folders = new Map<number, Map<string, Node>>();
  const make = ({ folder, name, node }: Change): void => {
    const names = folders.get(folder) ?? new Map<string, Node>();
    folders.set(folder, names);
    if (node) names.set(name, node);
    else names.delete(name);
  };
  for (const [first, second] of changes) {
    if (!first) continue;
    if (!first.isDurable && !fate.entry()) continue;
    make(first);
    if (!second) continue;
    const isOneFolder = second.folder === first.folder;
    if (isOneFolder || second.isDurable || fate.oldName()) make(second);
  }
  return folders;
}

function treeOf(
  node: Node,
  entries: ReadonlyMap<number, ReadonlyMap<string, Node>>,
  dataOfFile: (file: number) => Buffer,
): FolderTree {
  const files = new Map<number, FileTree>();
  const folderTree = (folder: Node): FolderTree => {
    const tree: FolderTree = { node: folder, entries: new Map() };
    for (const [name, entry] of entries.get(folder.id) ?? []) {
      if (entry.isFolder) {
        tree.entries.set(name, folderTree(entry));
        continue;
      }
      const file = files.get(entry.id) ?? { node: entry, data: dataOfFile(entry.id) };
      files.set(entry.id, file);
      tree.entries.set(name, file);
    }
    return tree;
  };
  return folderTree(node);
}

function dataOf(written: { all: Write[]; durable: number } | undefined, fate: Fate): Buffer {
  let data: Buffer = Buffer.alloc(0);
  for (const [index, write] of (written?.all ?? []).entries()) {
    const isDurable = index < (written?.durable ?? 0);
    if (write.kind === 'size') {
      if (isDurable || fate.entry()) data = resized(data, write.bytes);
      continue;
    }
    const { at, bytes } = write;
    const { sectors, grows } = isDurable ? KILLED.data(bytes.length) : fate.data(bytes.length);
    for (const [sector, isThere] of sectors.entries()) {
      if (!isThere) continue;
      const start = sector * SECTOR_BYTES;
      const part = bytes.subarray(start, start + SECTOR_BYTES);
      data = resized(data, Math.max(data.length, at + start + part.length));
      data.set(part, at + start);
    }
    if (grows) data = resized(data, Math.max(data.length, at + bytes.length));
  }
  return data;
}

function sectorsOf(length: number): number[] {
  return Array.from({ length: Math.ceil(length / SECTOR_BYTES) }, (_, index) => index);
}

function resized(data: Buffer, bytes: number): Buffer {
  if (bytes <= data.length) return data.subarray(0, bytes);
  return Buffer.concat([data, Buffer.alloc(bytes - data.length)]);
}
