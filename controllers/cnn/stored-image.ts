import { status } from '@grpc/grpc-js';

import {
  StorageServiceClient,
  type StorageServiceGetResponse,
} from '../../protos/gen/fractory/v1/storage.js';
import { FractoryError } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import type { Peers } from '../kernel/device.js';

export interface StoredImageOptions {
  readonly client: string;
  readonly name: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** Fetches a picture from storage; refuses one that is too large before it is sent. */
export async function fetchStoredImage(
  peers: Peers,
  options: StoredImageOptions,
): Promise<Uint8Array> {
  const client = checkName('stored.client', options.client);
  const name = checkName('stored.name', options.name);
  return peers.call(
    'storage',
    StorageServiceClient,
    async (storage, signal) => {
      const stream = storage.get({ client, name });
      const cancel = (): void => {
        stream.cancel();
      };
      signal.addEventListener('abort', cancel, { once: true });
      try {
        return await collect(stream, `${client}/${name}`, options.maxBytes);
      } finally {
        signal.removeEventListener('abort', cancel);
        stream.cancel();
      }
    },
    options.signal,
  );
}

async function collect(
  parts: AsyncIterable<StorageServiceGetResponse>,
  what: string,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const { part } of parts) {
    if (part?.$case === 'file' && part.value.sizeBytes > BigInt(maxBytes))
      throw tooLarge(what, part.value.sizeBytes, maxBytes);
    if (part?.$case !== 'chunk') continue;
    total += part.value.length;
    if (total > maxBytes) throw tooLarge(what, total, maxBytes);
    chunks.push(part.value);
  }
  return Buffer.concat(chunks);
}

function tooLarge(what: string, bytes: number | bigint, maxBytes: number): FractoryError {
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'IMAGE_TOO_LARGE',
    `${what} has ${String(bytes)} bytes, the limit max_image_bytes is ${String(maxBytes)}`,
    { metadata: { limit: 'max_image_bytes', allowed: String(maxBytes) } },
  );
}
