import { mkdtemp, rm } from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { DEFAULT_CNN_LIMITS } from '../../../services/cnn/limits.js';
import type { CnnLimits } from '../../../services/cnn/limits.js';
import type { Picture } from '../../../services/cnn/picture.js';
import { CnnService } from '../../../services/cnn/service.js';

/** Folder of the product: tests run from dist/test/services/cnn. */
export const productRoot = fileURLToPath(new URL('../../../../', import.meta.url));
/** For tests that write no models: nothing can be. */
const nowhere = path.join(devNull, 'models');
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
  const [first] = roots;
  return CnnService.open({
    ...{ roots, defaultModel, writableRoot: writableRoot(first) },
    limits: { ...DEFAULT_CNN_LIMITS, workers: 1, tune: 'off', ...limits },
  });
}

/** A picture as a file. */
export function encoded(bytes: Uint8Array): Picture {
  return { kind: 'encoded', bytes };
}

/** Never the models of the product: pins and measurements are for one test. */
function writableRoot(first: string | undefined): string {
  return first === undefined || first === shippedModels ? nowhere : first;
}
