import { Metadata, status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type {
  PutHeader,
  PutRequest,
  PutResponse,
  StatResponse,
  StorageServiceGetResponse,
  StorageServiceListResponse,
} from '../../../protos/gen/fractory/v1/storage.js';
import type { CallContext } from '../../../controllers/kernel/calls.js';
import { settings } from '../../../controllers/storage/settings.js';
import { storageService } from '../../../controllers/storage/service.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore } from '../../services/storage/fixture.js';
import type { Fixture } from '../../services/storage/fixture.js';

const context: CallContext = {
  signal: new AbortController().signal,
  budgetMs: 1000,
  metadata: new Metadata(),
  peer: 'test',
  log: silentLogger(),
};

const header = (more: Partial<PutHeader> = {}): PutRequest => ({
  part: { $case: 'header', value: { ...CAT, mediaType: '', sha256: '', ...more } },
});
const chunk = (text: string): PutRequest => ({
  part: { $case: 'chunk', value: Buffer.from(text) },
});

/** The handlers as a client would call them. */
function calls(fixture: Fixture) {
  const limits = { ...DEFAULT_STORAGE_LIMITS, max_chunk_bytes: 10 };
  const { handlers } = storageService(fixture.store, limits);
  const unary = async <R>(name: string, request: unknown): Promise<R> => {
    const handler = handlers[name];
    assert.ok(handler?.kind === 'unary');
    return (await handler.handle(request, context)) as R;
  };
  return {
    unary,
    put: async (...requests: PutRequest[]): Promise<PutResponse> => {
      const { put } = handlers;
      assert.ok(put?.kind === 'clientStream');
      async function* stream() {
        for (const request of requests) yield await Promise.resolve(request);
      }
      return (await put.handle(stream(), context)) as PutResponse;
    },
    get: async (): Promise<StorageServiceGetResponse[]> => {
      const { get } = handlers;
      assert.ok(get?.kind === 'serverStream');
      const parts: StorageServiceGetResponse[] = [];
      for await (const part of get.handle(CAT, context))
        parts.push(part as StorageServiceGetResponse);
      return parts;
    },
  };
}

suite('storage service', (test) => {
  test('put, get, stat, list and delete work on the same file', async () => {
    await using fixture = await openStore();
    const { put, get, unary } = calls(fixture);
    const { file } = await put(header(), chunk('he'), chunk('llo'));
    assert.is(file?.version, 1n);
    assert.is(file?.sizeBytes, 5n);
    assert.is(file?.mediaType, 'text/plain');
    assert.ok(file?.modifiedAt instanceof Date);
    const [first, ...rest] = await get();
    assert.equal(first?.part, { $case: 'file', value: file });
    const content = rest.map(({ part }) => (part?.$case === 'chunk' ? part.value : undefined));
    assert.equal(Buffer.concat(content.map((one) => one!)).toString(), 'hello');
    assert.equal((await unary<StatResponse>('stat', CAT)).file, file);
    const query = { client: '', prefix: '', pageSize: 0, pageToken: '' };
    const list = await unary<StorageServiceListResponse>('list', query);
    assert.equal(list, { files: [file], nextPageToken: '' });
    await rejects(unary('delete', { ...CAT, ifVersion: 7n }), FractoryError, {
      code: status.ABORTED,
    });
    await unary('delete', CAT);
    await rejects(unary('stat', CAT), FractoryError, { code: status.NOT_FOUND });
    await rejects(get(), FractoryError, { code: status.NOT_FOUND });
  });

  test('a header alone makes a file of 0 bytes', async () => {
    await using fixture = await openStore();
    const { put, get } = calls(fixture);
    assert.is((await put(header())).file?.sizeBytes, 0n);
    assert.is((await get()).length, 1);
  });

  test('an upload out of order is refused and leaves nothing', async () => {
    await using fixture = await openStore();
    const { put, unary } = calls(fixture);
    const cases: [string, PutRequest[]][] = [
      ['HEADER_MISSING', []],
      ['CHUNK_BEFORE_HEADER', [chunk('x'), header()]],
      ['SECOND_HEADER', [header(), chunk('x'), header()]],
      ['EMPTY_REQUEST', [{}]],
      ['EMPTY_REQUEST', [header(), {}]],
      ['CHUNK_TOO_LARGE', [header(), chunk('12345678901')]],
      ['BAD_NAME', [header({ name: '../x' }), chunk('x')]],
      ['BAD_MEDIA_TYPE', [header({ mediaType: 'x\r\ny' }), chunk('x')]],
      ['HASH_MISMATCH', [header({ sha256: '0'.repeat(64) }), chunk('x')]],
      ['VERSION_MISMATCH', [header({ ifVersion: 3n }), chunk('x')]],
    ];
    for (const [reason, requests] of cases)
      await rejects(put(...requests), FractoryError, { reason });
    await rejects(unary('stat', CAT), FractoryError, { reason: 'FILE_NOT_FOUND' });
  });

  test('settings read sizes as people write them and have the limits as defaults', () => {
    const { backend, block_member, block_linger_ms, ...limits } = settings.parse({});
    assert.equal(limits, DEFAULT_STORAGE_LIMITS);
    assert.equal([backend, block_member, block_linger_ms], ['files', 'block-1', 60_000]);
    assert.is(settings.parse({ max_file_bytes: '64 MiB' }).max_file_bytes, 64 * 1024 ** 2);
    assert.is(settings.safeParse({ max_file_bytes: 'much' }).success, false);
    assert.is(settings.safeParse({ unknown: '1' }).success, false);
  });
});
