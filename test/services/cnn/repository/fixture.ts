import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { ManualClock } from '../../../../runtime/clock.js';
import { silentLogger } from '../../../../runtime/logger.js';
import type { Card } from '../../../../services/cnn/card.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';
import type { CnnLimits } from '../../../../services/cnn/limits.js';
import { ModelRepository } from '../../../../services/cnn/repository/repository.js';
import type { Lease } from '../../../../services/cnn/repository/repository.js';
import { temporaryFolder } from '../fixture.js';
import { averagingCard, averagingModel } from '../onnx-model.js';
import { TwinExecutor } from '../twin-executor.js';

/** A repository in a folder of its own, over an executor that computes nothing. At its end nothing may be loaded any more. */
export interface TestRepository extends AsyncDisposable {
  readonly root: string;
  readonly models: ModelRepository;
  readonly executor: TwinExecutor;
  acquire(name: string, version?: number): Promise<Lease>;
  /** The state of a version. */
  state(name: string, version?: number): string;
}

export async function openRepository(
  prepare: (root: string) => Promise<void>,
  limits: Partial<CnnLimits> = {},
): Promise<TestRepository> {
  const folder = await temporaryFolder();
  const root = folder.path;
  await prepare(root);
  const executor = new TwinExecutor();
  const models = await ModelRepository.open({
    ...{ roots: [root], writableRoot: root, executor, clock: new ManualClock() },
    limits: { ...DEFAULT_CNN_LIMITS, workers: 1, ...limits },
    log: silentLogger(),
  });
  return {
    ...{ root, models, executor },
    acquire: (name, version = 0) => models.acquire(name, version, { timeoutMs: 5000 }),
    state: (name, version = 0) => models.look(name, version).state,
    async [Symbol.asyncDispose]() {
      await models[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
      if (executor.models.size > 0 || models.residents > 0)
        throw new Error(`${String(executor.models.size)} models are loaded at the end`);
    },
  };
}

/** Bytes of an averaging model; `remark` makes them others. */
export function modelBytes(remark = ''): Uint8Array {
  // Field 6 of ModelProto: doc_string.
  const text = Buffer.from(remark);
  const field = remark === '' ? [] : [Buffer.from([0x32, text.length]), text];
  return Buffer.concat([averagingModel('NCHW', 3), ...field]);
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes a version as a careful writer does: a folder beside, then renamed. */
export async function install(
  root: string,
  name: string,
  version: number,
  options: { readonly remark?: string; readonly card?: Partial<Card> | null } = {},
): Promise<string> {
  const bytes = modelBytes(options.remark);
  const folder = path.join(root, name, String(version));
  const temporary = path.join(root, `.new-${name}-${String(version)}`);
  await mkdir(temporary, { recursive: true });
  await mkdir(path.dirname(folder), { recursive: true });
  await writeFile(path.join(temporary, 'model.onnx'), bytes);
  if (options.card !== null) {
    const card = { ...averagingCard(name), version, sha256: sha256Of(bytes), ...options.card };
    await writeFile(path.join(temporary, 'model.json'), JSON.stringify(card));
  }
  await rename(temporary, folder);
  return folder;
}

/** Overwrites a version where it stands: the card first, so that for a moment it isn't about the model beside it. */
export async function overwrite(
  folder: string,
  remark: string,
  options: { readonly steps?: readonly ('card' | 'model')[] } = {},
): Promise<void> {
  const bytes = modelBytes(remark);
  const [version, name] = [path.basename(folder), path.basename(path.dirname(folder))];
  const { steps = ['card', 'model'] } = options;
  if (steps.includes('card')) {
    const card = { ...averagingCard(name), version: Number(version), sha256: sha256Of(bytes) };
    await writeFile(path.join(folder, 'model.json'), JSON.stringify(card));
  }
  if (steps.includes('model')) await writeFile(path.join(folder, 'model.onnx'), bytes);
}

/** Which file answers. */
export async function answer(repository: TestRepository, name = 'm', version = 0): Promise<string> {
  using lease = await repository.acquire(name, version);
  return lease.loaded.source.sha256;
}
