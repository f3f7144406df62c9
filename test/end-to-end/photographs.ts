import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { assert } from '../suite.js';
import { checkout } from './live-data-center.js';
import { StartedCommand } from './started-command.js';

const archive = path.join(checkout, '..', 'shared', 'data', 'cats-and-dogs.tar');

/** Why there are no photographs; undefined where there are. */
export const whyNoPhotographs = existsSync(archive)
  ? undefined
  : 'the photographs are not beside the checkout: ../shared/data/cats-and-dogs.tar';

export interface Photograph {
  readonly label: string;
  readonly name: string;
  readonly data: Buffer;
}

/** The first `perLabel` cats and dogs of the validation set. */
export async function validationPhotographs(perLabel: number): Promise<Photograph[]> {
  const list = await tar('-tf', archive);
  const chosen = ['cat', 'dog'].flatMap((label) =>
    list
      .split('\n')
      .filter(
        (entry) => entry.startsWith(`cats-and-dogs/validation/${label}/`) && !entry.endsWith('/'),
      )
      .sort()
      .slice(0, perLabel)
      .map((entry) => ({ label, entry })),
  );
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-photographs-'));
  try {
    await tar('-xf', archive, '-C', folder, ...chosen.map(({ entry }) => entry));
    return await Promise.all(
      chosen.map(async ({ label, entry }) => ({
        label,
        name: `${label}-${path.basename(entry)}`,
        data: await readFile(path.join(folder, entry)),
      })),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function tar(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new StartedCommand('tar', args).ended;
  assert.is(code, 0, stderr);
  return stdout;
}
