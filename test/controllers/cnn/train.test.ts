import { Metadata, status } from '@grpc/grpc-js';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { storedPath, storedPictures } from '../../../controllers/cnn/stored-pictures.js';
import { trainingHandlers } from '../../../controllers/cnn/training-handlers.js';
import type { CallContext } from '../../../controllers/kernel/calls.js';
import type { Peers } from '../../../controllers/kernel/device.js';
import { TrainRequest } from '../../../protos/gen/fractory/v1/cnn.js';
import type { TrainResponse, UploadDataSetResponse } from '../../../protos/gen/fractory/v1/cnn.js';
import { cancelled, FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { Trainer } from '../../../services/cnn/training/trainer.js';
import { temporaryFolder } from '../../services/cnn/fixture.js';
import { colourPictures } from '../../services/cnn/training/pictures.js';
import type { MadeFile } from '../../services/cnn/training/pictures.js';
import { filesBelow, openTrainer, tarChunks } from '../../services/cnn/training/trainer-fixture.js';
import { assert, rejects, suite } from '../../suite.js';

function contextOf(signal: AbortSignal = new AbortController().signal): CallContext {
  return { signal, budgetMs: 60_000, metadata: new Metadata(), peer: 'test', log: silentLogger() };
}

async function upload(trainer: Trainer, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const { uploadDataSet: handler } = trainingHandlers(trainer);
  if (handler.kind !== 'clientStream') throw new Error('uploads are streams');
  async function* requests(): AsyncGenerator<{ chunk: Uint8Array }, void> {
    for await (const chunk of chunks) yield { chunk };
  }
  const answer: UploadDataSetResponse = await handler.handle(requests(), contextOf());
  assert.ok(answer.sizeBytes > 0n);
  return answer.dataSet;
}

function train(
  trainer: Trainer,
  request: Partial<TrainRequest>,
  signal?: AbortSignal,
): AsyncIterable<TrainResponse> {
  const { train: handler } = trainingHandlers(trainer);
  if (handler.kind !== 'serverStream') throw new Error('trainings are streams');
  assert.is(handler.endsItself, true);
  const whole = TrainRequest.fromPartial({ model: 'colours', epochs: 3, size: 32 });
  return handler.handle({ ...whole, ...request }, contextOf(signal));
}

/** Storage whose client `admin` has these files, two on a page. */
function storage(files: readonly MadeFile[], gets: string[] = []): Peers {
  const all = files.map(({ path: name, bytes }) => ({
    ...{ client: 'admin', name, version: 1n, mediaType: '', modifiedAt: undefined, bytes },
    ...{ sizeBytes: BigInt(bytes.length) },
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  const client = {
    list: (
      { prefix, pageToken }: { prefix: string; pageToken: string },
      _metadata: unknown,
      _options: unknown,
      done: (error: null, response: unknown) => void,
    ) => {
      const matching = all.filter(({ name }) => name.startsWith(prefix));
      const from = Number(pageToken || '0');
      const nextPageToken = from + 2 < matching.length ? String(from + 2) : '';
      done(null, { files: matching.slice(from, from + 2), nextPageToken });
      return { cancel: () => undefined };
    },
    get: ({ name }: { name: string }) => {
      gets.push(name);
      const file = all.find((one) => one.name === name)!;
      const parts = [
        { part: { $case: 'file', value: file } },
        { part: { $case: 'chunk', value: file.bytes } },
      ];
      return Object.assign(Readable.from(parts), { cancel: () => undefined });
    },
  };
  return { call: (_target, _client, work, signal) => work(client as never, signal) };
}

suite('training by fractory.v1.CnnService', (test) => {
  test('takes an upload and streams how it goes, to the finished version', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const { trainer } = opened;
    const dataSet = await upload(trainer, tarChunks(await colourPictures(20)));
    const events: TrainResponse['event'][] = [];
    for await (const { event } of train(trainer, { data: { $case: 'dataSet', value: dataSet } }))
      events.push(event);
    const started = events.find((event) => event?.$case === 'started')?.value;
    assert.equal(
      started?.classes.map(({ label, training, validation }) => [label, training + validation]),
      [
        ['blue', 20n],
        ['red', 20n],
      ],
    );
    assert.is(started?.weights, 8n);
    assert.is(events.filter((event) => event?.$case === 'epoch').length, 3);
    const last = events.at(-1);
    assert.ok(last?.$case === 'finished');
    assert.is(last.value.version, 1);
    assert.equal(last.value.labels, ['blue', 'red']);
    assert.is(last.value.confusion.length, 2);
  });

  test('ends when its caller goes away, with the checkpoint kept', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const { trainer } = opened;
    const value = await upload(trainer, tarChunks(await colourPictures(20)));
    const request = { data: { $case: 'dataSet', value }, epochs: 10_000 } as const;
    for await (const { event } of train(trainer, request)) if (event?.$case === 'epoch') break;
    // Leaving the loop waits for the end: another may begin at once.
    assert.ok((await filesBelow(folder.path)).includes('training/runs/colours/checkpoint.bin'));
    const calling = new AbortController();
    const called = (async () => {
      for await (const { event } of train(trainer, request, calling.signal))
        if (event?.$case === 'epoch') calling.abort(cancelled());
    })();
    await rejects(called, FractoryError, { code: status.CANCELLED });
  });

  test('a request that can not be right is refused before anything is told', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const read = (async () => {
      for await (const message of train(opened.trainer, { model: '' }))
        assert.unreachable(JSON.stringify(message));
    })();
    await rejects(read, FractoryError, { code: status.INVALID_ARGUMENT });
  });
});

suite('training data in storage', (test) => {
  test('dots in names stand for folders, but for the last', () => {
    for (const [name, path] of [
      ['cat.0001.jpg', 'cat/0001.jpg'],
      ['pets.train.cat.1.jpg', 'pets/train/cat/1.jpg'],
      ['0001.jpg', '0001.jpg'],
      ['picture', 'picture'],
    ] as const)
      assert.is(storedPath(name), path);
  });

  test('is listed page by page, with hashes, and read when it is wanted', async () => {
    const gets: string[] = [];
    const pictures = (await colourPictures(2)).map((file) => ({
      ...file,
      path: file.path.replaceAll('/', '.'),
    }));
    const peers = storage([...pictures, { path: 'other.txt', bytes: Buffer.from('no') }], gets);
    const source = storedPictures(peers, { client: 'admin', prefix: 'red.', maxImageBytes: 9999 });
    const found: string[] = [];
    for await (const file of source.files(new AbortController().signal)) {
      assert.is(file.sha256?.length, 64);
      found.push(file.path);
      if (file.path === 'red/1.png') assert.is((await file.read()).length, file.sizeBytes);
    }
    assert.equal(found, ['red/0.png', 'red/1.png']);
    assert.equal(gets, ['red.1.png']);
  });

  test('trains as a tar does', async () => {
    await using folder = await temporaryFolder();
    const files = await colourPictures(20);
    const flat = files.map((file) => ({ ...file, path: file.path.replaceAll('/', '.') }));
    const peers = storage(flat);
    await using opened = openTrainer(folder.path, {
      storedPictures: (client, prefix) =>
        storedPictures(peers, { client, prefix, maxImageBytes: 9999 }),
    });
    const { trainer } = opened;
    const value = await upload(trainer, tarChunks(files));
    const hashes: string[] = [];
    for (const data of [
      { $case: 'stored', value: { client: 'admin', prefix: '' } } as const,
      { $case: 'dataSet', value } as const,
    ])
      for await (const { event } of train(trainer, { data }))
        if (event?.$case === 'finished') hashes.push(event.value.sha256);
    assert.is(hashes.length, 2);
    assert.is(hashes[0], hashes[1]);
  });
});
