import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { DEFAULT_CNN_LIMITS } from '../../../services/cnn/limits.js';
import type { CnnLimits } from '../../../services/cnn/limits.js';
import { CnnService } from '../../../services/cnn/service.js';

/** Folder of the product: tests run from dist/test/services/cnn. */
export const productRoot = fileURLToPath(new URL('../../../../', import.meta.url));
/** The models that ship with the product. */
export const shippedModels = path.join(productRoot, 'services', 'cnn', 'models');

/** A folder that is removed at the end. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-cnn-'));
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

export function openCnn(
  roots: readonly string[],
  limits: Partial<CnnLimits> = {},
  defaultModel = 'cats-vs-dogs',
): Promise<CnnService> {
  return CnnService.open({ roots, defaultModel, limits: { ...DEFAULT_CNN_LIMITS, ...limits } });
}
