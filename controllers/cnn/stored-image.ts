import { Metadata, status } from '@grpc/grpc-js';

import {
  StorageServiceClient,
  type StorageServiceGetResponse,
} from '../../protos/gen/fractory/v1/storage.js';
import { callDeadline } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { refuseReserved } from '../../services/storage/checks.js';
import type { Peers } from '../kernel/device.js';

/** Longest that storage may take for one picture, ms. */
const LONGEST_MS = 30_000;

export interface StoredImageOptions {
  readonly client: string;
  readonly name: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Told the size before the bytes come; what it throws ends the fetching. */
  readonly hold?: (bytes: number) => void;
}

/** Fetches a picture from storage; refuses one that is too large before it is sent. */
export async function fetchStoredImage(
  peers: Peers,
  options: StoredImageOptions,
): Promise<Uint8Array> {
  const client = checkName('stored.client', options.client);
  const name = checkName('stored.name', options.name);
  refuseReserved(client);
  return peers.call(
    'storage',
    StorageServiceClient,
    async (storage, signal) => {
      const stream = storage.get(
        { client, name },
        new Metadata(),
        callDeadline(signal, LONGEST_MS),
      );
      const cancel = (): void => {
        stream.cancel();
      };
      signal.addEventListener('abort', cancel, { once: true });
      try {
        return await collect(stream, `${client}/${name}`, options);
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
  { maxBytes, hold }: Pick<StoredImageOptions, 'maxBytes' | 'hold'>,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let [total, held] = [0, 0];
  const holdUpTo = (bytes: number): void => {
    if (bytes > held) hold?.(bytes - held);
    held = Math.max(held, bytes);
  };
  for await (const { part } of parts) {
    if (part?.$case === 'file') {
      if (part.value.sizeBytes > BigInt(maxBytes))
        throw tooLarge(what, part.value.sizeBytes, maxBytes);
      holdUpTo(Number(part.value.sizeBytes));
    }
    if (part?.$case !== 'chunk') continue;
    total += part.value.length;
    if (total > maxBytes) throw tooLarge(what, total, maxBytes);
    // It may be more than it said.
    holdUpTo(total);
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
