import type {
  UploadDataSetRequest,
  UploadDataSetResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import type { Trainer } from '../../services/cnn/training/trainer.js';
import { clientStream } from '../kernel/calls.js';
import type { MethodHandler } from '../kernel/calls.js';

/** `UploadDataSet`: chunks of a tar, kept by its hash. */
export function uploadDataSet(
  trainer: Trainer,
): MethodHandler<UploadDataSetRequest, UploadDataSetResponse> {
  return clientStream(async (requests: AsyncIterable<UploadDataSetRequest>) => {
    const { dataSet, sizeBytes } = await trainer.upload(chunksOf(requests));
    return { dataSet, sizeBytes: BigInt(sizeBytes) };
  });
}

async function* chunksOf(
  requests: AsyncIterable<UploadDataSetRequest>,
): AsyncGenerator<Uint8Array, void> {
  for await (const { chunk } of requests) yield chunk;
}
