import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import type { Call, FileFunction, HandleMethod, Interposition } from './interposition.js';
import { isFolderTree } from './operations.js';
import type { EntryChange, FolderTree, Node, Operation } from './operations.js';
import type { Random } from '../../runtime/seeded-random.js';

export interface RecorderOptions {
  /** Where the disk is. Absolute, without links. */
  readonly root: string;
  /** What is on it. */
  readonly tree: FolderTree;
  /** Which of the operations that wait goes first. */
  readonly random: Random;
  /** Told as the id of this boot of the machine. */
  readonly bootId: string;
  /** Syncs that the disk only pretends: to try the test. */
  readonly pretends?: (node: Node) => boolean;
}

interface OpenFile {
  readonly node: Node;
  position: number;
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
/** Told as the number of the first node: larger than any of a true inode, so that the two can't be confused. */
const FIRST_INODE = 2n ** 40n;

type Perform = (...args: readonly unknown[]) => Promise<unknown>;

/**
 * Does what a process wants done under `root` one operation at a time, in an order that it draws, and notes it. The same seed gives the same
 * order: what waits for the disk is known before the next operation is chosen.
 */
export class Recorder implements Interposition {
  readonly operations: Operation[];
  readonly #options: RecorderOptions;
  /** By path. */
  readonly #nodes = new Map<string, Node>();
  readonly #open = new WeakMap<FileHandle, OpenFile>();
  readonly #above = new WeakSet<FileHandle>();
  readonly #waiting: (() => Promise<void>)[] = [];
  #nextId: number;
  #isPumping = false;
  #isOver = false;

  /** `before`: the operations that have led to the tree. */
  constructor(before: readonly Operation[], options: RecorderOptions) {
    this.operations = [...before];
    this.#options = options;
    this.#nextId = 1;
    const visit = (folder: FolderTree, at: string): void => {
      this.#know(at, folder.node);
      for (const [name, entry] of folder.entries) {
        const file = path.join(at, name);
        if (isFolderTree(entry)) visit(entry, file);
        else this.#know(file, entry.node);
      }
    };
    visit(options.tree, options.root);
  }

  note(note: unknown): void {
    this.operations.push({ kind: 'note', note });
  }

  /** The process is gone: nothing that it waits for happens any more. */
  end(): void {
    this.#isOver = true;
  }

  file(name: FileFunction, original: Call, args: readonly unknown[]): Promise<unknown> {
    const perform = original as unknown as Perform;
    const [first] = args;
    if (name === 'readFile' && first === BOOT_ID) return Promise.resolve(this.#options.bootId);
    if (name === 'open' && `${this.#options.root}${path.sep}`.startsWith(String(first)))
      if (first !== this.#options.root) return this.#openedAbove(perform, args);
    if (typeof first !== 'string' || !this.#isOurs(first)) return perform(...args);
    return this.#turn(() => this.#file(name, perform, args, first));
  }

  handle(
    handle: FileHandle,
    name: HandleMethod,
    original: Call,
    args: readonly unknown[],
  ): Promise<unknown> {
    const perform: Perform = (...given) => (original as unknown as Perform).call(handle, ...given);
    const open = this.#open.get(handle);
    if (this.#above.has(handle) && name === 'sync') return Promise.resolve();
    if (!open) return perform(...args);
    return this.#turn(() => this.#handle(open, name, perform, args));
  }

  #isOurs(file: string): boolean {
    const { root } = this.#options;
    return file === root || file.startsWith(root + path.sep);
  }

  #turn<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(async () => {
        await work().then(resolve, reject);
      });
      if (!this.#isPumping) void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    // Whoever was answered asks for the next thing before anything else is done.
    await settled();
    while (this.#waiting.length > 0) {
      const at = Math.floor(this.#options.random() * this.#waiting.length);
      const [next] = this.#waiting.splice(at, 1);
      if (!this.#isOver) await next?.();
      await settled();
    }
    this.#isPumping = false;
  }

  async #file(
    name: FileFunction,
    perform: Perform,
    args: readonly unknown[],
    file: string,
  ): Promise<unknown> {
    switch (name) {
      case 'open':
        return this.#opened(perform, args, file);
      case 'mkdir': {
        const made = (await perform(...args)) as string | undefined;
        const isRecursive = (args[1] as { recursive?: boolean } | undefined)?.recursive === true;
        this.#addFolders(isRecursive ? made : file, file);
        return made;
      }
      case 'writeFile': {
        const result = await perform(...args);
        const node = this.#add(file, false);
        this.operations.push({ kind: 'size', file: node.id, bytes: 0 });
        this.#wrote(node, 0, bytesOf(args[1]));
        return result;
      }
      case 'link': {
        const result = await perform(...args);
        this.#give(String(args[1]), this.#node(file));
        return result;
      }
      case 'rename': {
        const result = await perform(...args);
        this.#rename(file, String(args[1]));
        return result;
      }
      case 'rm': {
        const result = await perform(...args);
        this.#remove(file);
        return result;
      }
      case 'stat':
      case 'lstat':
        return this.#told((await perform(...args)) as BigIntStats, this.#node(file));
      case 'access':
      case 'readFile':
      case 'readdir':
        return perform(...args);
    }
  }

  /** A folder in which the disk is. */
  async #openedAbove(perform: Perform, args: readonly unknown[]): Promise<FileHandle> {
    const handle = (await perform(...args)) as FileHandle;
    this.#above.add(handle);
    return handle;
  }

  async #opened(perform: Perform, args: readonly unknown[], file: string): Promise<FileHandle> {
    const handle = (await perform(...args)) as FileHandle;
    const [, flags = 'r'] = args;
    const node = this.#nodes.get(file) ?? this.#add(file, false);
    const isCut =
      typeof flags === 'string' ? flags === 'w' : (Number(flags) & constants.O_TRUNC) > 0;
    if (isCut) this.operations.push({ kind: 'size', file: node.id, bytes: 0 });
    this.#open.set(handle, { node, position: 0 });
    // Not a method of the prototype.
    const close = handle.close.bind(handle);
    handle.close = () => this.#turn(close);
    return handle;
  }

  async #handle(
    open: OpenFile,
    name: HandleMethod,
    perform: Perform,
    args: readonly unknown[],
  ): Promise<unknown> {
    const { node } = open;
    switch (name) {
      case 'sync':
      case 'datasync':
        // Nobody needs the true disk to have it.
        if (!this.#options.pretends?.(node)) this.operations.push({ kind: 'sync', node: node.id });
        return undefined;
      case 'truncate': {
        const result = await perform(...args);
        this.operations.push({ kind: 'size', file: node.id, bytes: Number(args[0] ?? 0) });
        return result;
      }
      case 'write': {
        const [data, offset = 0, length, position] = args;
        const result = (await perform(...args)) as { bytesWritten: number };
        const start = Number(offset);
        const bytes = bytesOf(data).subarray(start, start + Number(length ?? Infinity));
        const at = typeof position === 'number' ? position : open.position;
        this.#wrote(node, at, bytes.subarray(0, result.bytesWritten));
        if (typeof position !== 'number') open.position += result.bytesWritten;
        return result;
      }
      case 'writeFile': {
        const result = await perform(...args);
        const bytes = bytesOf(args[0]);
        this.#wrote(node, open.position, bytes);
        open.position += bytes.length;
        return result;
      }
      case 'stat':
        return this.#told((await perform(...args)) as BigIntStats, node);
      case 'read':
      case 'readFile':
        return perform(...args);
    }
  }

  #wrote(node: Node, at: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.operations.push({ kind: 'data', file: node.id, at, bytes: Uint8Array.from(bytes) });
  }

  #addFolders(first: string | undefined, last: string): void {
    if (first === undefined) return;
    const names = path.relative(first, last).split(path.sep);
    this.#add(first, true);
    let at = first;
    for (const name of names.filter((one) => one !== '')) {
      at = path.join(at, name);
      this.#add(at, true);
    }
  }

  /** A new node under this path, or the one that is there. */
  #add(file: string, isFolder: boolean): Node {
    const known = this.#nodes.get(file);
    if (known) return known;
    const node = { id: this.#nextId, isFolder };
    this.#give(file, node);
    return node;
  }

  #give(file: string, node: Node): void {
    this.operations.push({ kind: 'entry', changes: [this.#change(file, node)] });
    this.#know(file, node);
  }

  #rename(from: string, to: string): void {
    const node = this.#node(from);
    const changes = [this.#change(to, node), this.#change(from)];
    this.operations.push({ kind: 'entry', changes });
    for (const [file, one] of [...this.#nodes]) {
      if (file !== from && !file.startsWith(from + path.sep)) continue;
      this.#nodes.delete(file);
      this.#nodes.set(to + file.slice(from.length), one);
    }
  }

  #remove(file: string): void {
    if (!this.#nodes.has(file)) return;
    for (const inside of [...this.#nodes.keys()])
      if (inside.startsWith(file + path.sep)) this.#remove(inside);
    this.operations.push({ kind: 'entry', changes: [this.#change(file)] });
    this.#nodes.delete(file);
  }

  #change(file: string, node?: Node): EntryChange {
    const folder = this.#node(path.dirname(file)).id;
    return { folder, name: path.basename(file), node };
  }

  #know(file: string, node: Node): void {
    this.#nodes.set(file, node);
    this.#nextId = Math.max(this.#nextId, node.id + 1);
  }

  #node(file: string): Node {
    const node = this.#nodes.get(file);
    if (node) return node;
    throw new Error(`${file} was not made by a recorded operation`);
  }

  /** An inode is told by the number of its node: the same after the power is back. */
  #told(stats: BigIntStats, node: Node): BigIntStats {
    stats.ino =
      typeof stats.ino === 'bigint'
        ? FIRST_INODE + BigInt(node.id)
        : ((Number(FIRST_INODE) + node.id) as never);
    return stats;
  }
}

function bytesOf(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  return Buffer.from(String(data));
}

/** Resolves when everything that can go on without the disk has gone on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
}
