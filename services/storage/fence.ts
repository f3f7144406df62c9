import { closeSync, mkdirSync, openSync } from 'node:fs';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { syncFolder } from '../../runtime/folder-sync.js';
import { HIDDEN } from './client-folder.js';
import { fenced } from './failures.js';

const DIGITS = 20;
/** Looks at a fence that others raise all the time. */
const MAX_LOOKS = 10;

/**
 * The highest epoch whose leader has changed files of this storage folder: whoever comes with an older one is refused, however sure it is that it leads.
 * It is the name of an empty file, so it is raised by making another and can't be torn; all processes that serve the folder look at it, under the
 * lock of each change. Lower ones are removed when a higher one is durable. A leader that leaves in good order says so before it goes, and may finish
 * until then what it has begun.
 */
export class Fence {
  readonly #root: string;
  readonly #folder: string;
  readonly #onFenced: (by: bigint) => void;
  /** The last epoch that this process has made durable. */
  #raised = -1n;
  /** What raises it now: all changes that wait for it share that. */
  #raising: { readonly epoch: bigint; readonly done: Promise<void> } | undefined;

  constructor(root: string, onFenced: (by: bigint) => void = () => undefined) {
    this.#root = root;
    this.#onFenced = onFenced;
    this.#folder = path.join(root, HIDDEN, 'fence');
  }

  /** Lets a change of this epoch through, and nothing older from then on. FAILED_PRECONDITION (FENCED) if there was a later one. */
  async admit(epoch: bigint): Promise<void> {
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const { highest, leaving } = await this.#look();
      if (highest > epoch) {
        if ((leaving.get(epoch) ?? 0) > Date.now()) return;
        this.#onFenced(highest);
        throw fenced(epoch, highest);
      }
      if (highest === epoch && this.#raised === epoch) return;
      await this.#raisedTo(epoch);
    }
    throw fenced(epoch, (await this.#look()).highest);
  }

  /**
   * The leader of this epoch leaves: others may lead, and what it has begun is let through until `untilMs` (ms since 1970). Done at once and not behind what
   * the disk is busy with: the next leader waits for it. It needs no sync, so it takes no time.
   */
  leave(epoch: bigint, untilMs: number): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    closeSync(openSync(path.join(this.#folder, `${nameOf(epoch)}.until-${String(untilMs)}`), 'a'));
    return Promise.resolve();
  }

  #raisedTo(epoch: bigint): Promise<void> {
    if (this.#raising?.epoch === epoch) return this.#raising.done;
    const done = this.#raise(epoch).finally(() => {
      if (this.#raising?.epoch === epoch) this.#raising = undefined;
    });
    this.#raising = { epoch, done };
    return done;
  }

  async #raise(epoch: bigint): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await touch(path.join(this.#folder, nameOf(epoch)));
    const folders = [this.#folder, path.dirname(this.#folder), this.#root];
    await Promise.all(folders.map(syncFolder));
    this.#raised = epoch;
    for (const name of await this.#names())
      if (isOver(name, epoch)) await rm(path.join(this.#folder, name), { force: true });
  }

  /** `highest` is -1 if there is none. */
  async #look(): Promise<{ highest: bigint; leaving: Map<bigint, number> }> {
    let highest = -1n;
    const leaving = new Map<bigint, number>();
    for (const name of await this.#names()) {
      const { epoch, untilMs } = parse(name);
      if (untilMs !== undefined) leaving.set(epoch, untilMs);
      else if (epoch > highest) highest = epoch;
    }
    return { highest, leaving };
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.#folder)).filter((name) => NAME.test(name));
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

const NAME = /^(\d{20})(?:\.until-(\d+))?$/;

function nameOf(epoch: bigint): string {
  return String(epoch).padStart(DIGITS, '0');
}

function parse(name: string): { epoch: bigint; untilMs: number | undefined } {
  const [, epoch = '0', untilMs] = NAME.exec(name) ?? [];
  return { epoch: BigInt(epoch), untilMs: untilMs === undefined ? undefined : Number(untilMs) };
}

/** A lower fence, or the word of one that left long ago. */
function isOver(name: string, raised: bigint): boolean {
  const { epoch, untilMs } = parse(name);
  return epoch < raised && (untilMs ?? 0) < Date.now();
}

async function touch(file: string): Promise<void> {
  await (await open(file, 'a')).close();
}
