import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../../runtime/errors.js';
import { syncFolder } from '../../../runtime/folder-sync.js';
import type { Card } from '../card.js';
import { discard, diskFailure, writeDurably } from './durable-file.js';

/** A version that was written. */
export interface PublishedModel {
  readonly card: Card;
  readonly folder: string;
}

const UNFINISHED = /^\.[0-9a-f-]{36}\.tmp$/;
const TAKEN: ReadonlySet<string | undefined> = new Set(['EEXIST', 'ENOTEMPTY', 'ENOTDIR']);

/**
 * Writes `NAME/VERSION/{model.onnx,model.json}` as a whole: whoever looks at the folder sees all of it or nothing. The version is the next that is free here and
 * isn't among `known`.
 */
export async function publishModel(
  root: string,
  model: Uint8Array,
  card: Omit<Card, 'version'>,
  known: readonly number[],
): Promise<PublishedModel> {
  const parent = path.join(root, card.name);
  const temporary = path.join(parent, `.${randomUUID()}.tmp`);
  try {
    await sweep(parent);
    await mkdir(temporary, { recursive: true });
    await writeDurably(path.join(temporary, 'model.onnx'), [model], parent);
    for (let version = Math.max(0, ...known, ...(await versionsIn(parent))) + 1; ; version++) {
      const whole: Card = withVersion(card, version);
      await writeCard(temporary, whole);
      const folder = path.join(parent, String(version));
      if (!(await moved(temporary, folder))) continue;
      await syncFolder(parent);
      return { card: whole, folder };
    }
  } catch (error) {
    await discard(temporary);
    throw diskFailure(error, parent);
  }
}

/** Takes back a version that could not be measured. */
export async function withdrawModel({ folder }: PublishedModel): Promise<void> {
  const temporary = path.join(path.dirname(folder), `.${randomUUID()}.tmp`);
  await rename(folder, temporary);
  await rm(temporary, { recursive: true, force: true });
}

/** What was left by a node that died here. A model has one publisher at a time: who holds the claim of its training. */
async function sweep(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names)
    if (UNFINISHED.test(name)) await rm(path.join(parent, name), { recursive: true, force: true });
}

/** Replaces the card of a version. */
export async function writeCard(folder: string, card: Card): Promise<void> {
  await writeDurably(path.join(folder, 'model.json'), [
    Buffer.from(`${JSON.stringify(card, undefined, 2)}\n`),
  ]);
}

/** Name and version stand first. */
function withVersion(card: Omit<Card, 'version'>, version: number): Card {
  const { name, ...rest } = card;
  return { name, version, ...rest };
}

async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (TAKEN.has(systemCodeOf(error))) return false;
    throw error;
  }
}

async function versionsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^[1-9][0-9]{0,8}$/.test(name)).map(Number);
}
