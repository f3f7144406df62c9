import { appendFile, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../../runtime/errors.js';
import { diskFailure } from './durable-file.js';
import type { TrainingData } from './training-request.js';

/** In the folder of a training: the data sets that it needs, a line each. Counts while the training runs or can go on. */
const NOTE = 'data-sets';
/** Of which one says that. */
const SIGNS = ['claim', 'checkpoint.bin'] as const;

/** Notes that a training needs its data set, before anybody can take it away. */
export async function noteData(folder: string, data: TrainingData): Promise<void> {
  if (data.kind !== 'dataSet') return;
  try {
    await appendFile(path.join(folder, NOTE), `${data.dataSet}\n`);
  } catch (error) {
    throw diskFailure(error, folder);
  }
}

/** A training has ended: where it can't go on, it needs nothing any more. */
export async function forgetData(folder: string): Promise<void> {
  if (!(await exists(path.join(folder, 'checkpoint.bin'))))
    await rm(path.join(folder, NOTE), { force: true });
}

/** The data sets that trainings need, those of other nodes too. `runs`: a folder for each training. */
export async function dataSetsInUse(runs: string): Promise<ReadonlySet<string>> {
  const used = new Set<string>();
  for (const name of await readdir(runs).catch(() => [])) {
    const folder = path.join(runs, name);
    const signs = await Promise.all(SIGNS.map((sign) => exists(path.join(folder, sign))));
    if (!signs.includes(true)) continue;
    const note = await readFile(path.join(folder, NOTE), 'utf8').catch(() => '');
    for (const dataSet of note.split('\n')) used.add(dataSet);
  }
  return used;
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return false;
    throw error;
  }
}
