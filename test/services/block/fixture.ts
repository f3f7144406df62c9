import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { silentLogger } from '../../../runtime/logger.js';
import { BlockDevice } from '../../../services/block/device.js';
import type { BlockDeviceOptions } from '../../../services/block/device.js';
import type { BlockContent } from '../../../services/block/block-content.js';
import { DEFAULT_BLOCK_LIMITS } from '../../../services/block/limits.js';

export const BLOCK = 512;
export const signal = new AbortController().signal;

export async function deviceFolder(): Promise<
  AsyncDisposable & { file: string; open(more?: Partial<BlockDeviceOptions>): Promise<BlockDevice> }
> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-block-'));
  const file = path.join(folder, 'block-1.img');
  return {
    file,
    open: (more = {}) =>
      BlockDevice.open({
        ...{ file, name: 'block-1', capacityBytes: 64 * BLOCK, blockBytes: BLOCK },
        ...{ limits: { ...DEFAULT_BLOCK_LIMITS, lock_timeout_ms: 50 }, log: silentLogger() },
        ...more,
      }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

export async function readWhole(
  content: BlockContent,
  range = { offset: 0, length: content.sizeBytes },
  chunkBytes = 700,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content.read(range, { chunkBytes, signal })) chunks.push(chunk);
  return Buffer.concat(chunks);
}
