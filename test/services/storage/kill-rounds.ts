import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { Random } from '../../../runtime/seeded-random.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { FileStore } from '../../../services/storage/store.js';
import { ToldFiles } from './told-files.js';

const NAMES_EACH = 6;
const MAX_LIFE_MS = 100;
const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'kill-writer.js');

/** Processes that write to one folder at once, each of which is killed at a random moment and followed by another. */
export class KillRounds {
  readonly files = new ToldFiles('kills');
  kills = 0;
  readonly #root: string;
  readonly #random: Random;

  constructor(root: string, random: Random) {
    this.#root = root;
    this.#random = random;
  }

  /** `kills` in each of `processes` at the same time; then a fresh store looks at everything. */
  async run(processes: number, kills: number): Promise<void> {
    const lives = Array.from({ length: processes }, (_, process) => this.#lives(process, kills));
    await Promise.all(lives);
    await this.files.checkAll(await FileStore.open(this.#root, DEFAULT_STORAGE_LIMITS));
  }

  async #lives(process: number, kills: number): Promise<void> {
    const each = Array.from({ length: NAMES_EACH }, (_, at) => at);
    const names = each.map((at) => `f${String(process)}-${String(at)}`);
    let store: FileStore | undefined;
    for (let kill = 0; kill < kills; kill++) {
      await this.#live(names);
      this.kills++;
      // As others see it, which were there before and clear nothing away.
      store ??= await FileStore.open(this.#root, DEFAULT_STORAGE_LIMITS);
      for (const name of names) await this.files.check(store, name);
    }
  }

  async #live(names: readonly string[]): Promise<void> {
    const seed = String(Math.floor(this.#random() * 2 ** 31));
    const child = spawn(process.execPath, [script, this.#root, seed, ...names], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    await this.#listen(child, () => {
      setTimeout(() => child.kill('SIGKILL'), this.#random() * MAX_LIFE_MS);
    });
    await closed;
  }

  /** Resolves when all that it said was heard. */
  async #listen(child: ChildProcess, onReady: () => void): Promise<void> {
    if (!child.stdout) throw new Error('the writer has no output');
    for await (const line of createInterface(child.stdout)) {
      // The last line may be cut: then nothing was told.
      const [act, name = '', fact = '', end] = line.split(' ');
      if (act === 'ready') onReady();
      else if (end === undefined) continue;
      else if (act === 'put') this.files.asked(name, fact);
      else if (act === 'delete') this.files.asked(name);
      else if (act === 'missing') this.files.refused(name);
      else if (act === 'done') this.files.done(name, BigInt(fact));
    }
  }
}
