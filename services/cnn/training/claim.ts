import { status } from '@grpc/grpc-js';
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError, systemCodeOf } from '../../../runtime/errors.js';
import { Owner } from '../../storage/owner.js';
import { discard, diskFailure } from './durable-file.js';

const CLAIM = 'claim';

/**
 * Claims the training of a name for this process, among all nodes of this machine; disposing gives it up. A claim of a process that is gone is void,
 * and what that process left half written goes.
 */
export async function claimTraining(folder: string, model: string): Promise<AsyncDisposable> {
  const file = path.join(folder, CLAIM);
  const owner = await Owner.ofThisProcess();
  const mine = path.join(folder, owner.newName(CLAIM));
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(mine, `claim~${owner.text}`);
    // A link is there with its content or not at all.
    while (!(await linked(mine, file))) await takeAway(file, mine, owner, model);
    await sweep(folder, owner);
  } catch (error) {
    throw diskFailure(error, folder);
  } finally {
    await discard(mine);
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}

/** One training of a name at a time. */
export function trainingRunning(model: string, pid: number | string): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'TRAINING_RUNNING',
    `a training of ${model} is running already, in process ${String(pid)}: wait for it, or stop it`,
  );
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    return false;
  }
}

/** Takes a void claim away. Two that do so at a time can't both take what the other one has put there since: each looks at what it took. */
async function takeAway(file: string, mine: string, owner: Owner, model: string): Promise<void> {
  await refuseLiving(file, owner, model);
  const taken = `${mine}.old`;
  try {
    await rename(file, taken);
    await refuseLiving(taken, owner, model).catch(async (error: unknown) => {
      await linked(taken, file);
      throw error;
    });
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  } finally {
    await rm(taken, { force: true });
  }
}

async function refuseLiving(file: string, owner: Owner, model: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const pid = text.split('-')[2];
  // A claim of this process is left over: it trains one at a time.
  if (pid === undefined || text === `claim~${owner.text}`) return;
  const life = await owner.lifeOf(text);
  if (life === 'alive') throw trainingRunning(model, pid);
  if (life === 'gone') return;
  // In a container that is started again, too, it is another machine's.
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'TRAINING_RUNNING',
    `a training of ${model} belongs to process ${pid} of another machine: wait for it, or delete ${path.join(path.dirname(file), CLAIM)} if that is gone`,
  );
}

/** Whoever holds the claim may take away what was not finished. */
async function sweep(folder: string, owner: Owner): Promise<void> {
  for (const name of await readdir(folder)) {
    const isLeft = name.startsWith(`${CLAIM}~`) && (await owner.lifeOf(name)) === 'gone';
    if (isLeft || name.endsWith('.tmp')) await rm(path.join(folder, name), { force: true });
  }
}
