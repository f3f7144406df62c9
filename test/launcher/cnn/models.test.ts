import { status } from '@grpc/grpc-js';
import { InvalidArgumentError } from 'commander';

import { changeModel } from '../../../launcher/cnn/model-changes.js';
import {
  modelName,
  modelReference,
  versionReference,
} from '../../../launcher/cnn/model-reference.js';
import { modelRows, rowData, workOf } from '../../../launcher/cnn/model-rows.js';
import { modelNotes, modelTable } from '../../../launcher/cnn/model-table.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';
import { RecordingTerminal } from '../recording-terminal.js';
import { arrangement, FakeCnnNode, modelOf, withNodes } from './fake-cnn-node.js';

const statistics = {
  ...{ requests: 10n, failures: 1n, runs: 5n, lastUsedMs: 7n },
  ...{ queueUs: 1000n, decodeUs: 20_000n, computeUs: 30_000n, outputUs: 100n },
};

const cells = (table: string): string[][] => table.split('\n').map((line) => line.split(/ {2,}/));

suite('model references', (test) => {
  test('a name may have a version behind an @', () => {
    assert.equal(modelReference('a-b.c'), { name: 'a-b.c', version: 0 });
    assert.equal(versionReference('a@12'), { name: 'a', version: 12 });
    assert.is(modelName('a'), 'a');
  });

  for (const text of [
    '',
    '@1',
    'a@',
    'a@0',
    'a@-1',
    'a@1.5',
    'a@4294967296',
    '../a',
    'a b',
    'a@b@1',
  ])
    test(`${JSON.stringify(text)} is refused`, () => {
      throws(() => modelReference(text), InvalidArgumentError);
    });

  test('a version may be asked for, or refused', () => {
    throws(() => versionReference('a'), InvalidArgumentError);
    throws(() => modelName('a@1'), InvalidArgumentError);
  });
});

suite('table of models', (test) => {
  test('one member: a row for each version, the newest first', () => {
    const rows = modelRows([
      {
        member: 'cnn-1',
        answer: [
          modelOf({ name: 'b', statistics, accuracy: 0.955, pinned: true }),
          modelOf({
            name: 'b',
            version: 2,
            loaded: false,
            memoryBytes: 0n,
            servesByDefault: false,
          }),
          modelOf({ name: 'a', state: 'model.onnx has another SHA-256', loaded: false }),
        ],
      },
    ]);
    assert.equal(cells(modelTable(rows, 1)).slice(1), [
      [
        'a@1',
        'newest',
        'broken',
        '64x64',
        'cat, dog',
        '50.0 %',
        '1.0 MiB',
        '0',
        '0',
        '-',
        '-',
        '-',
        '-',
      ],
      ['b@2', 'ready', '64x64', 'cat, dog', '50.0 %', '-', '0', '0', '-', '-', '-', '-'],
      [
        ...['b@1', 'pinned', 'loaded', '64x64', 'cat, dog', '95.5 %', '1.0 MiB', '10', '1'],
        ...['0.1 ms', '2.0 ms', '3.0 ms', '0.0 ms'],
      ],
    ]);
    assert.equal(modelNotes(rows, 1), ["a@1 can't be used: model.onnx has another SHA-256"]);
  });

  test('several members: what they agree on stands once, differences name them, work is added up', () => {
    const one = modelOf({ name: 'a', statistics, arrangement: arrangement() });
    const other = modelOf({
      ...{ name: 'a', state: 'unloaded', loaded: false, memoryBytes: 0n, sha256: 'cd' },
      statistics: { ...statistics, requests: 30n, computeUs: 10_000n },
    });
    const rows = modelRows([
      { member: 'cnn-1', answer: [one] },
      { member: 'cnn-2', answer: [other, modelOf({ name: 'b', servesByDefault: false })] },
    ]);
    const [, a, b] = cells(modelTable(rows, 2));
    assert.equal(a?.slice(0, 3), ['a@1', 'newest', 'loaded (cnn-1), unloaded (cnn-2)']);
    assert.equal(b?.slice(0, 3), ['b@1', '- (cnn-2)', 'loaded (cnn-2)']);
    assert.equal([workOf(rows[0]!).requests, workOf(rows[0]!).computeUs], [40, 1000]);
    assert.equal(modelNotes(rows, 2), [
      'a@1: 2 workers x 1 thread, batch 1: measured (cnn-1), not loaded (cnn-2)',
      'a@1 is not the same at all members: SHA-256 ab (cnn-1), SHA-256 cd (cnn-2)',
    ]);
  });

  test('a model without a card shows its tensors; JSON has no big integers', () => {
    const model = modelOf({
      ...{ name: 't', labels: [], width: 0, height: 0, accuracy: 0, statistics },
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1n, 3n] }],
    });
    const [row] = modelRows([{ member: 'cnn-1', answer: [model] }]);
    assert.equal(cells(modelTable([row!], 1))[1]?.slice(3, 6), ['FP32[-1,3]', '-', '-']);
    const text = JSON.stringify(rowData(row!));
    assert.match(text, /"shape":\[-1,3\]/);
    assert.match(text, /"requests":10,/);
  });

  test('one that broke on disk and serves from memory is told as such', () => {
    const model = modelOf({ name: 'a', state: 'another SHA-256' });
    const rows = modelRows([{ member: 'cnn-1', answer: [model] }]);
    assert.is(cells(modelTable(rows, 1))[1]?.[2], 'broken, old one serves');
    assert.equal(modelNotes(rows, 1), ["a@1 can't be loaded again: another SHA-256"]);
  });

  test('many labels are counted', () => {
    const labels = Array.from({ length: 1000 }, (_, index) => `label ${String(index)}`);
    const rows = modelRows([{ member: 'cnn-1', answer: [modelOf({ name: 'a', labels })] }]);
    assert.is(cells(modelTable(rows, 1))[1]?.[4], '1000');
  });
});

suite('changes of models', (test) => {
  const signal = new AbortController().signal;

  test('they happen at all members, and each is told', async () => {
    const models = [modelOf({ name: 'a', arrangement: arrangement({ maxBatch: 4 }) })];
    await using one = await FakeCnnNode.start('cnn-1', { models });
    await using two = await FakeCnnNode.start('cnn-2', { models });
    const terminal = new RecordingTerminal();
    await withNodes([one, two], async (members) => {
      const options = { reference: { name: 'a', version: 1 }, json: false, signal };
      for (const change of ['load', 'unload', 'pin', 'unpin'] as const)
        await changeModel(members, change, terminal, options);
    });
    assert.equal(one.changes, ['load a 1', 'unload a 1', 'pin a 1', 'pin a 0']);
    assert.equal(two.changes, one.changes);
    assert.equal(
      terminal.printed.filter((line) => line.startsWith('cnn-2')),
      [
        'cnn-2: a@1 is loaded, 1.0 MiB, 2 workers x 1 thread, batch up to 4: measured',
        'cnn-2: a@1 is unloaded',
        'cnn-2: calls for a get version 1',
        'cnn-2: calls for a get the newest version',
      ],
    );
  });

  test('a member that refuses does not keep the others from it', async () => {
    const refusal = new FractoryError(status.NOT_FOUND, 'MODEL_NOT_FOUND', 'there is no model a');
    await using one = await FakeCnnNode.start('cnn-1', { refusal });
    await using two = await FakeCnnNode.start('cnn-2');
    const terminal = new RecordingTerminal();
    const options = { reference: { name: 'a', version: 0 }, signal };
    const outcomes = await withNodes([one, two], async (members) => {
      await changeModel(members, 'unload', terminal, { ...options, json: true });
      return changeModel(members, 'unload', terminal, { ...options, json: false });
    });
    assert.equal(
      outcomes.map((outcome) => 'error' in outcome),
      [true, false],
    );
    assert.equal(JSON.parse(terminal.printed[0] ?? ''), {
      members: [
        { member: 'cnn-1', error: 'there is no model a' },
        { member: 'cnn-2', done: 'a (all versions) is unloaded' },
      ],
    });
    assert.equal(terminal.noted, ['error: cnn-1: there is no model a']);
  });
});
