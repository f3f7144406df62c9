import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Random } from '../../../runtime/seeded-random.js';
import { silentLogger } from '../../../runtime/logger.js';
import { BlockDevice } from '../../../services/block/device.js';
import { DEFAULT_BLOCK_LIMITS } from '../../../services/block/limits.js';
import { readWhole } from './fixture.js';

const MAX_LIFE_MS = 80;
const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'allocator.js');

/** Processes with a block device, one after the other, each of which is killed at a random moment. */
export class DeviceKillRounds {
  kills = 0;
  acknowledged = 0;
  /** Extents that were told to be durable and are not there, or don't hold what was written. */
  lost = 0;
  readonly #file: string;
  readonly #random: Random;
  /** By extent, the letter that fills it. */
  readonly #held = new Map<string, string>();

  constructor(file: string, random: Random) {
    this.#file = file;
    this.#random = random;
  }

  async run(kills: number): Promise<void> {
    for (let kill = 0; kill < kills; kill++) {
      await this.#live();
      this.kills++;
      await this.#check();
    }
  }

  async #live(): Promise<void> {
    const child = spawn(process.execPath, [script, this.#file, ...this.#held.keys()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
    });
    const closed = once(child, 'close');
    await once(child.stdout, 'data');
    setTimeout(() => child.kill('SIGKILL'), this.#random() * MAX_LIFE_MS);
    await closed;
    // The last line may be cut; what it would say happened, or did not.
    for (const line of output.split('\n').slice(0, -1)) {
      const [act, id = '', letter = ''] = line.split(' ');
      if (act === 'frees') this.#held.delete(id);
      if (act !== 'has') continue;
      this.acknowledged++;
      this.#held.set(id, letter);
    }
  }

  async #check(): Promise<void> {
    await using device = await BlockDevice.open({
      ...{ file: this.#file, name: 'block-1', capacityBytes: 2048 * 512, blockBytes: 512 },
      ...{ limits: DEFAULT_BLOCK_LIMITS, log: silentLogger() },
    });
    for (const [id, letter] of this.#held) if (!(await isThere(device, id, letter))) this.lost++;
  }
}

async function isThere(device: BlockDevice, id: string, letter: string): Promise<boolean> {
  try {
    await using content = device.content([id]);
    return (await readWhole(content)).equals(Buffer.alloc(content.sizeBytes, letter));
  } catch {
    return false;
  }
}
