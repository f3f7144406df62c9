import { status } from '@grpc/grpc-js';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { cancelled, FractoryError } from '../../../../runtime/errors.js';
import { parseCard } from '../../../../services/cnn/card.js';
import type { Card } from '../../../../services/cnn/card.js';
import { Owner } from '../../../../services/storage/owner.js';
import { assert, rejects, suite } from '../../../suite.js';
import { temporaryFolder } from '../fixture.js';
import { colourPictures, LIMITS, sourceOf } from './pictures.js';
import { filesBelow, openTrainer, REQUEST, tarChunks, trained } from './trainer-fixture.js';

async function cardIn(folder: string, version = 1): Promise<Card> {
  const file = path.join(folder, 'models', 'colours', String(version), 'model.json');
  const card = parseCard(await readFile(file, 'utf8'));
  if ('problem' in card) throw new Error(card.problem);
  return card;
}

const OPTIONS = { signal: new AbortController().signal, tell: () => undefined };

suite('a trainer', (test) => {
  test('makes a version with a card that tells how, measured by the served model', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const { trainer, served } = opened;
    const { dataSet } = await trainer.upload(tarChunks(await colourPictures(60, 'pets/')));
    const data = { kind: 'dataSet', dataSet } as const;
    const texts = { summary: 'Red or blue.', license: 'CC0-1.0', origin: 'Painted by a test.' };
    const events = await trained(trainer, { data, seed: 9n, ...texts });
    const kinds = events.map(({ kind }) => kind);
    for (const kind of ['reading', 'started', 'progress', 'epoch', 'finished'] as const)
      assert.ok(kinds.includes(kind), kind);
    const finished = events.at(-1)!;
    assert.ok(finished.kind === 'finished');
    const card = await cardIn(folder.path);
    assert.is(card.sha256, finished.sha256);
    assert.is(card.summary, 'Red or blue.');
    assert.is(card.license, 'CC0-1.0');
    assert.equal(card.origin['data'], 'Painted by a test.');
    assert.equal(card.origin['source'], data);
    assert.equal(card.labels, ['blue', 'red']);
    // The fake answers red to all but every tenth.
    const reds = finished.confusion.reduce((sum, row) => sum + row[1]!, 0);
    assert.is(reds, served.asked.length - Math.floor(served.asked.length / 10));
    assert.is(card.accuracy?.value, finished.accuracy);
    assert.is(card.accuracy?.pictures, served.asked.length);
    assert.equal(served.asked[0], { model: 'colours', version: 1 });
    assert.is(served.rescans.count, 2);
    assert.is(card.training?.seed, '9');
    assert.is(card.training?.curve.length, 4);
    assert.equal(card.training?.confusion, finished.confusion);
    assert.is(card.training?.data.split, 'content');
    assert.equal(await filesBelow(path.join(folder.path, 'training', 'runs')), []);
  });

  test('takes the next version that nobody has', async () => {
    await using folder = await temporaryFolder();
    await mkdir(path.join(folder.path, 'models', 'colours', '4'), { recursive: true });
    await using opened = openTrainer(folder.path, {
      storedPictures: () => sourceOf(pictures),
      served: { ...SILENT, versions: () => [2, 6] },
    });
    const pictures = await colourPictures(20);
    const data = { kind: 'stored', client: 'admin', prefix: '' } as const;
    const events = await trained(opened.trainer, { data, epochs: 1 });
    const last = events.at(-1);
    assert.is(last?.kind === 'finished' && last.version, 7);
    assert.equal((await cardIn(folder.path, 7)).version, 7);
  });

  test('same data, settings and seed make the same model', async () => {
    await using folder = await temporaryFolder();
    const pictures = await colourPictures(20);
    await using opened = openTrainer(folder.path, { storedPictures: () => sourceOf(pictures) });
    const data = { kind: 'stored', client: 'admin', prefix: '' } as const;
    for (const seed of [3n, 3n, 4n]) await trained(opened.trainer, { data, seed });
    const [one, two, other] = await Promise.all([1, 2, 3].map((at) => cardIn(folder.path, at)));
    assert.is(one?.sha256, two?.sha256);
    assert.is.not(one?.sha256, other?.sha256);
  });

  test('goes on where it was interrupted, without being told the settings again', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const { trainer } = opened;
    const { dataSet } = await trainer.upload(tarChunks(await colourPictures(20)));
    const data = { kind: 'dataSet', dataSet } as const;
    const stopping = new AbortController();
    const stopped = trained(
      trainer,
      { data, epochs: 6 },
      (event) => {
        if (event.kind === 'epoch' && event.epoch === 2) stopping.abort(cancelled('enough'));
      },
      stopping.signal,
    );
    await rejects(stopped, FractoryError, { code: status.CANCELLED });
    const resume = { data: undefined, size: 0, resume: true };
    await rejects(trained(trainer, { ...resume, epochs: 7 }), FractoryError, {
      reason: 'CHECKPOINT_DIFFERS',
    });
    const events = await trained(trainer, { ...resume, epochs: 0 });
    const started = events.find((event) => event.kind === 'started');
    assert.ok(started?.kind === 'started' && started.done.length >= 2);
    assert.is(started.epochs, 6);
    await trained(trainer, { data, epochs: 6 });
    assert.is((await cardIn(folder.path, 1)).sha256, (await cardIn(folder.path, 2)).sha256);
  });

  test('refuses to go on with other pictures, or where nothing was interrupted', async () => {
    await using folder = await temporaryFolder();
    let pictures = await colourPictures(20);
    await using opened = openTrainer(folder.path, { storedPictures: () => sourceOf(pictures) });
    const data = { kind: 'stored', client: 'admin', prefix: '' } as const;
    await rejects(trained(opened.trainer, { data, resume: true }), FractoryError, {
      reason: 'NO_CHECKPOINT',
    });
    const stopping = new AbortController();
    const stopped = trained(
      opened.trainer,
      { data },
      ({ kind }) => {
        if (kind === 'epoch') stopping.abort(cancelled());
      },
      stopping.signal,
    );
    await rejects(stopped, FractoryError, { reason: 'CANCELLED' });
    pictures = pictures.slice(2);
    await rejects(trained(opened.trainer, { data, resume: true }), FractoryError, {
      reason: 'DATA_DIFFERS',
    });
  });

  test('trains one at a time, here and among the nodes of a machine', async () => {
    await using folder = await temporaryFolder();
    const pictures = await colourPictures(20);
    const options = { storedPictures: () => sourceOf(pictures) };
    await using opened = openTrainer(folder.path, options);
    const { trainer } = opened;
    const data = { kind: 'stored', client: 'admin', prefix: '' } as const;
    const first = trained(trainer, { data });
    await rejects(trained(trainer, { data, model: 'other' }), FractoryError, {
      reason: 'TRAINING_RUNNING',
    });
    await first;
    const claim = path.join(folder.path, 'training', 'runs', 'colours', 'claim');
    const alive = spawn('sleep', ['60'], { stdio: 'ignore' });
    const [own] = [(await Owner.ofThisProcess()).text.split('-')];
    const stat = await readFile(`/proc/${String(alive.pid)}/stat`, 'utf8');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    await writeFile(claim, `claim~${[own[0], own[1], alive.pid, start].join('-')}`);
    const error = await rejects(trained(trainer, { data }), FractoryError, {
      reason: 'TRAINING_RUNNING',
    });
    assert.match(error.message, new RegExp(`process ${String(alive.pid)}`));
    await writeFile(claim, 'claim~ffffffff-0-7-1');
    const foreign = await rejects(trained(trainer, { data }), FractoryError, {
      reason: 'TRAINING_RUNNING',
    });
    assert.match(foreign.message, /process 7 of another machine.* delete .*colours\/claim/);
    // Of a process that is gone, whose number somebody else has now.
    await writeFile(claim, `claim~${[own[0], own[1], alive.pid, '1'].join('-')}`);
    await writeFile(path.join(path.dirname(claim), 'checkpoint.bin.1.tmp'), 'half');
    await trained(trainer, { data, epochs: 1 });
    assert.equal(await filesBelow(path.join(folder.path, 'training')), []);
    alive.kill();
  });

  test('refuses what can not be right, with the field', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const data = { kind: 'dataSet', dataSet: 'ab'.repeat(32) } as const;
    for (const [request, field] of [
      [{ model: '../x' }, 'model'],
      [{ data: undefined }, 'data'],
      [{ data: { kind: 'dataSet', dataSet: '../../etc/passwd' } }, 'data_set'],
      [{ data: { kind: 'stored', client: '..', prefix: '' } }, 'stored.client'],
      [{ size: 65 }, 'size'],
      [{ size: 4096 }, 'size'],
      [{ epochs: 1_000_000 }, 'epochs'],
      [{ network: 'huge' }, 'network'],
      [{ license: 'x'.repeat(1001) }, 'license'],
      [{ origin: 'x'.repeat(1001) }, 'origin'],
    ] as const) {
      const error = await rejects(
        opened.trainer.train({ ...REQUEST, data, ...request }, OPTIONS),
        FractoryError,
        { code: status.INVALID_ARGUMENT },
      );
      assert.is(error.violations[0]?.field, field);
    }
    await rejects(opened.trainer.train({ ...REQUEST, data }, OPTIONS), FractoryError, {
      reason: 'DATA_SET_NOT_FOUND',
    });
  });

  test('ends with its node, and says so', async () => {
    await using folder = await temporaryFolder();
    const pictures = await colourPictures(20);
    const { trainer } = openTrainer(folder.path, { storedPictures: () => sourceOf(pictures) });
    const data = { kind: 'stored', client: 'admin', prefix: '' } as const;
    let ending: Promise<void> | undefined;
    const training = trained(trainer, { data, epochs: 1000 }, ({ kind }) => {
      if (kind === 'epoch') ending ??= trainer[Symbol.asyncDispose]();
    });
    await rejects(training, FractoryError, { reason: 'NODE_STOPPING' });
    await ending;
    assert.equal(await filesBelow(path.join(folder.path, 'training')), [
      'runs/colours/checkpoint.bin',
    ]);
  });

  test('a version that was not measured is taken back, and goes on with resume', async () => {
    await using folder = await temporaryFolder();
    const pictures = await colourPictures(20);
    const stopping = new AbortController();
    await using opened = openTrainer(folder.path, {
      storedPictures: () => sourceOf(pictures),
      served: {
        ...SILENT,
        versions: () => [],
        predict: (_picture, { signal }) => {
          stopping.abort(cancelled('gone'));
          return signal.aborted ? Promise.reject(cancelled('gone')) : Promise.resolve('red');
        },
      },
    });
    const data = { kind: 'stored', client: 'admin', prefix: '' } as const;
    const stopped = trained(opened.trainer, { data }, () => undefined, stopping.signal);
    await rejects(stopped, FractoryError, { message: 'gone' });
    assert.equal(await readdir(path.join(folder.path, 'models', 'colours')), []);
    const events = await trained(opened.trainer, { data, resume: true });
    const last = events.at(-1);
    assert.is(last?.kind === 'finished' && last.version, 1);
  });

  test('a checkpoint that somebody changed is refused before memory is made for it', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const file = path.join(folder.path, 'training', 'runs', 'colours', 'checkpoint.bin');
    const resumed = () => rejects(trained(opened.trainer, { resume: true }), FractoryError);
    await mkdir(file, { recursive: true });
    assert.is((await resumed()).reason, 'CHECKPOINT_CORRUPT');
    await rm(file, { recursive: true });
    for (const [length, text] of [
      [2n ** 60n, '{}'],
      [2n, '{}'],
      [4n, 'null'],
      [undefined, JSON.stringify({ head: { done: [] }, bestBytes: -1, tensors: [] })],
      [undefined, JSON.stringify({ head: { done: [] }, bestBytes: 0, tensors: [['w', 2 ** 40]] })],
    ] as const) {
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(length ?? BigInt(text.length));
      const body = Buffer.concat([Buffer.from('fractory training 1\n'), size, Buffer.from(text)]);
      await writeFile(file, Buffer.concat([body, createHash('sha256').update(body).digest()]));
      assert.is((await resumed()).reason, 'CHECKPOINT_CORRUPT', text);
    }
  });

  test('says which folder it can not write into', async () => {
    await using folder = await temporaryFolder();
    const pictures = await colourPictures(20);
    await writeFile(path.join(folder.path, 'training'), 'a file');
    await using opened = openTrainer(folder.path, { storedPictures: () => sourceOf(pictures) });
    const data = { kind: 'stored', client: 'admin', prefix: '' } as const;
    for (const work of [
      () => trained(opened.trainer, { data }),
      () => opened.trainer.upload(tarChunks([])).then(() => []),
    ]) {
      const error = await rejects(work(), FractoryError, { reason: 'FOLDER_UNWRITABLE' });
      assert.match(error.message, /training/);
    }
    await rm(path.join(folder.path, 'training'));
    await writeFile(path.join(folder.path, 'models'), 'a file');
    await rejects(trained(opened.trainer, { data, epochs: 1 }), FractoryError, {
      reason: 'FOLDER_UNWRITABLE',
    });
  });
});

suite('uploads of data sets', (test) => {
  test('are kept once, by their hash', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const files = await colourPictures(3);
    const one = await opened.trainer.upload(tarChunks(files));
    assert.equal(await opened.trainer.upload(tarChunks(files)), one);
    assert.equal(await filesBelow(path.join(folder.path, 'training')), [`data/${one.dataSet}.tar`]);
  });

  test('that are empty, too large, or break off leave nothing', async () => {
    await using folder = await temporaryFolder();
    const limits = { ...LIMITS, max_data_set_bytes: 3000 };
    await using opened = openTrainer(folder.path, { limits });
    async function* breaking(): AsyncGenerator<Uint8Array, void> {
      yield Buffer.alloc(100);
      await Promise.resolve();
      throw cancelled('gone');
    }
    async function* chunks(...sizes: number[]): AsyncGenerator<Uint8Array, void> {
      await Promise.resolve();
      for (const size of sizes) yield Buffer.alloc(size);
    }
    for (const [upload, reason] of [
      [chunks(), 'EMPTY_DATA_SET'],
      [chunks(2000, 2000), 'LIMIT_EXCEEDED'],
      [chunks(2 * 1024 ** 2), 'CHUNK_TOO_LARGE'],
      [breaking(), 'CANCELLED'],
    ] as const)
      await rejects(opened.trainer.upload(upload), FractoryError, { reason });
    assert.equal(await filesBelow(path.join(folder.path, 'training')), []);
  });

  test('leave when all together are too large, the longest unused first, but none that a training needs', async () => {
    await using folder = await temporaryFolder();
    const limits = { ...LIMITS, max_data_set_bytes: 5000, max_data_sets_bytes: 10_000 };
    await using opened = openTrainer(folder.path, { limits });
    const place = path.join(folder.path, 'training', 'data');
    const uploaded = async (letter: string, ageSeconds: number): Promise<string> => {
      async function* chunks(): AsyncGenerator<Uint8Array, void> {
        yield await Promise.resolve(Buffer.alloc(4000, letter));
      }
      const { dataSet } = await opened.trainer.upload(chunks());
      const time = new Date(Date.now() - ageSeconds * 1000);
      await utimes(path.join(place, `${dataSet}.tar`), time, time);
      return dataSet;
    };
    const [a, b] = [await uploaded('a', 300), await uploaded('b', 200)];
    const run = path.join(folder.path, 'training', 'runs', 'other');
    await mkdir(run, { recursive: true });
    await writeFile(path.join(run, 'data-sets'), `${a}\n`);
    await writeFile(path.join(run, 'checkpoint.bin'), '');
    const left = path.join(place, `.${'0'.repeat(36)}.tmp`);
    await writeFile(left, 'half');
    await utimes(left, 0, 0);
    const c = await uploaded('c', 100);
    assert.equal(await readdir(place).then((names) => names.sort()), names(a, c));
    // Nobody needs it any more.
    await rm(path.join(run, 'checkpoint.bin'));
    const d = await uploaded('d', 0);
    assert.equal(await readdir(place).then((names) => names.sort()), names(c, d));
    assert.ok(b);
    await writeFile(path.join(run, 'data-sets'), `${c}\n${d}\n`);
    await writeFile(path.join(run, 'claim'), '');
    const error = await rejects(uploaded('e', 0), FractoryError, { reason: 'LIMIT_EXCEEDED' });
    assert.match(error.message, /max_data_sets_bytes/);
    assert.equal(await readdir(place).then((names) => names.sort()), names(c, d));
  });

  test('never leave their folder, whatever a tar holds', async () => {
    await using folder = await temporaryFolder();
    await using opened = openTrainer(folder.path);
    const files = await colourPictures(20);
    const outside = files.map((file) => ({ ...file, path: `../../${file.path}` }));
    const { dataSet } = await opened.trainer.upload(tarChunks([...files, ...outside]));
    await symlink('/etc', path.join(folder.path, 'etc'));
    const data = { kind: 'dataSet', dataSet } as const;
    const events = await trained(opened.trainer, { data, epochs: 1 });
    assert.is(events.filter(({ kind }) => kind === 'skipped').length, 40);
    assert.equal(
      (await filesBelow(folder.path)).filter((file) => file.endsWith('.png')),
      [],
    );
  });
});

function names(...dataSets: readonly string[]): string[] {
  return dataSets.map((dataSet) => `${dataSet}.tar`).sort();
}

const SILENT = {
  rescan: () => Promise.resolve(),
  predict: () => Promise.resolve('red'),
};
