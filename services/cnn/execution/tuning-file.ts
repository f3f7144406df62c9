import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import path from 'node:path';
import { z } from 'zod';

import { messageOf, systemCodeOf } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { Arrangement } from '../serving.js';
import { RULES_VERSION } from './choice.js';

const arrangementSchema = z.strictObject({
  workers: z.int().min(1),
  threads: z.int().min(1),
  maxBatch: z.int().min(1),
  maxDelayMs: z.number().min(0),
  reason: z.string(),
});
const fileSchema = z.strictObject({
  version: z.literal(1),
  models: z.record(z.string(), arrangementSchema),
});

/** What a measurement holds for. */
export interface TuningKey {
  readonly sha256: string;
  readonly cores: number;
  /** What a card or the ini file fixed. */
  readonly fixed: string;
  /** Of ONNX Runtime. */
  readonly runtime: string;
}

/** Remembers which arrangements were measured to be best, for all nodes of a machine. A file that can't be read or written costs a measurement, no more. */
export class TuningFile {
  readonly #file: string;
  readonly #log: Logger;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  async find(key: TuningKey): Promise<Arrangement | undefined> {
    return (await this.#read())[textOf(key)];
  }

  /** The file is replaced as a whole. Of two nodes that write at the same moment one is forgotten, and measured again. */
  async remember(key: TuningKey, arrangement: Arrangement): Promise<void> {
    try {
      const models = { ...(await this.#read()), [textOf(key)]: arrangement };
      await mkdir(path.dirname(this.#file), { recursive: true });
      const temporary = `${this.#file}.${String(process.pid)}`;
      await writeFile(temporary, JSON.stringify({ version: 1, models }, undefined, 2));
      await rename(temporary, this.#file);
    } catch (error) {
      this.#log.warn({ file: this.#file, problem: messageOf(error) }, 'tuning not remembered');
    }
  }

  async #read(): Promise<Record<string, Arrangement>> {
    try {
      return fileSchema.parse(JSON.parse(await readFile(this.#file, 'utf8'))).models;
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT')
        this.#log.warn({ file: this.#file, problem: messageOf(error) }, 'tuning file ignored');
      return {};
    }
  }
}

function textOf({ sha256, cores, fixed, runtime }: TuningKey): string {
  const [cpu] = cpus();
  const [machine, rules] = [cpu?.model ?? 'unknown', `rules ${String(RULES_VERSION)}`];
  return [sha256, machine, `${String(cores)} cores`, runtime, fixed, rules].join(' | ');
}
