import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { runPredictions } from '../../../launcher/cnn/prediction-run.js';
import type { PredictionRunOptions } from '../../../launcher/cnn/prediction-run.js';
import { FractoryError, invalidArgument, unavailable } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { RecordingTerminal } from '../recording-terminal.js';
import { StateFolder } from '../state-folder.js';
import { FakeCnnNode, modelOf, withNodes } from './fake-cnn-node.js';

interface Outcome {
  readonly failed: number;
  readonly terminal: RecordingTerminal;
}

async function* nothing(): AsyncGenerator<string> {
  yield* await Promise.resolve([]);
}

async function predict(
  nodes: readonly FakeCnnNode[],
  options: Partial<PredictionRunOptions>,
  terminal = new RecordingTerminal(),
): Promise<Outcome> {
  const failed = await withNodes(nodes, (members) =>
    runPredictions(members, terminal, {
      ...{ names: [], input: nothing(), model: undefined, topK: 1, json: true },
      ...{ signal: new AbortController().signal, ...options },
    }),
  );
  return { failed, terminal };
}

async function pictures(folder: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) =>
    path.join(folder, `${String(index).padStart(5, '0')}.jpg`),
  );
  await Promise.all(names.map((name, index) => writeFile(name, index % 3 === 0 ? 'cat' : 'dog')));
  return names;
}

suite('predictions', (test) => {
  test('many files go to all members at once, bounded, and come in their order', async () => {
    await using folder = await StateFolder.create();
    const names = await pictures(folder.path, 300);
    const label = (text: string): Promise<string> =>
      new Promise((resolve) => {
        setTimeout(resolve, 5, text);
      });
    await using one = await FakeCnnNode.start('cnn-1', { label });
    await using two = await FakeCnnNode.start('cnn-2', { label });
    const { failed, terminal } = await predict([one, two], { names: [folder.path] });
    assert.is(failed, 0);
    assert.equal(
      terminal.printed.map((line) => JSON.parse(line) as unknown),
      names.map((file, index) => ({
        ...{ file, label: index % 3 === 0 ? 'cat' : 'dog', probability: 0.75 },
      })),
    );
    assert.is(one.predictions + two.predictions, 300);
    for (const { predictions, mostUnderWay } of [one, two]) {
      assert.ok(predictions > 50, String(predictions));
      assert.ok(mostUnderWay > 1 && mostUnderWay <= 32, String(mostUnderWay));
    }
  });

  test('a file that fails does not stop the others; an object tells why', async () => {
    await using folder = await StateFolder.create();
    const [first, second, third] = await pictures(folder.path, 3);
    await truncate(second!, 0);
    await writeFile(third!, Buffer.alloc(2000));
    const label = (text: string): string => {
      if (text === '') throw invalidArgument('source', 'an empty picture', 'BROKEN_IMAGE');
      return text;
    };
    await using node = await FakeCnnNode.start('cnn-1', { label });
    const { failed, terminal } = await predict([node], {
      names: [first!, '/nowhere', second!, third!],
    });
    assert.is(failed, 3);
    assert.equal(
      terminal.printed.map((line) => JSON.parse(line) as unknown),
      [
        { file: first, label: 'cat', probability: 0.75 },
        { file: '/nowhere', error: 'there is no file or folder /nowhere' },
        { file: second, error: 'source: an empty picture' },
        {
          file: third,
          error: `${third!} has 2000 bytes, the limit max_image_bytes of cnn-1 is 1024`,
        },
      ],
    );
    assert.is(node.predictions, 2);
  });

  test('a member that is full or stopping is asked again after a while, or another one is', async () => {
    await using folder = await StateFolder.create();
    await pictures(folder.path, 40);
    let refusals = 0;
    const label = (text: string): string => {
      if (++refusals % 3 === 1)
        throw new FractoryError(status.RESOURCE_EXHAUSTED, 'QUEUE_FULL', 'full', {
          retryAfterMs: 20,
        });
      if (refusals % 3 === 2) throw unavailable('NODE_STOPPING', 'the node is stopping');
      return text;
    };
    await using busy = await FakeCnnNode.start('cnn-1', { label });
    await using other = await FakeCnnNode.start('cnn-2');
    const { failed, terminal } = await predict([busy, other], { names: [folder.path] });
    assert.equal([failed, terminal.printed.length], [0, 40]);
    assert.ok(refusals > 0);
  });

  test('a picture that is refused for its size is not tried again', async () => {
    await using folder = await StateFolder.create();
    const names = await pictures(folder.path, 1);
    const label = (): never => {
      throw new FractoryError(status.RESOURCE_EXHAUSTED, 'IMAGE_TOO_LARGE', 'too many pixels');
    };
    await using node = await FakeCnnNode.start('cnn-1', { label });
    const { failed } = await predict([node], { names });
    assert.equal([failed, node.predictions], [1, 1]);
  });

  test('a data center that dies ends it with one line, behind what was known', async () => {
    await using folder = await StateFolder.create();
    await pictures(folder.path, 300);
    let answered = 0;
    const node: FakeCnnNode = await FakeCnnNode.start('cnn-1', {
      label: (text) => {
        if (++answered === 100) node.kill();
        return text;
      },
    });
    const terminal = new RecordingTerminal();
    const error = await rejects(
      predict([node], { names: [folder.path], patienceMs: 200 }, terminal),
      FractoryError,
      { code: status.UNAVAILABLE, reason: 'DATA_CENTER_GONE' },
    );
    assert.match(
      error.message,
      /^no CNN node has answered for \d+ s \(.*\); \.\/datacenter status/,
    );
    assert.ok(terminal.printed.length > 50, String(terminal.printed.length));
    assert.equal(
      terminal.printed.filter((line) => line.includes('error')),
      [],
    );
  });

  test('an interruption ends it at once with what is known', async () => {
    await using folder = await StateFolder.create();
    await pictures(folder.path, 10);
    const controller = new AbortController();
    let asked = 0;
    const label = (text: string): string | Promise<string> => {
      if (++asked <= 5) return text;
      return new Promise(() => undefined);
    };
    await using node = await FakeCnnNode.start('cnn-1', { label });
    const { signal } = controller;
    const terminal = new RecordingTerminal();
    const ending = predict([node], { names: [folder.path], signal }, terminal);
    await terminal.hasPrinted(5);
    controller.abort();
    await ending;
    assert.is(terminal.printed.length, 5);
  });

  test('a model that no member has is told before any file is sent', async () => {
    await using folder = await StateFolder.create();
    const names = await pictures(folder.path, 1);
    const models = [
      modelOf({ name: 'shapes', version: 2 }),
      modelOf({ name: 'idle', state: 'unloaded', loaded: false }),
      modelOf({ name: 'broken', state: 'SHA-256 differs', loaded: false }),
      modelOf({ name: 'kept', state: 'SHA-256 differs' }),
    ];
    await using node = await FakeCnnNode.start('cnn-1', { models });
    const cases: readonly (readonly [string, number, string, RegExp])[] = [
      ['shape', 0, 'MODEL_NOT_FOUND', /there is no model shape \(did you mean shapes\?\)/],
      ['shapes', 3, 'MODEL_NOT_FOUND', /there is no model shapes@3 \(there are shapes@2\)/],
      ['idle', 0, 'MODEL_UNLOADED', /models load idle loads it/],
      ['broken', 1, 'MODEL_CORRUPT', /broken@1 can't be used: SHA-256 differs/],
    ];
    for (const [name, version, reason, message] of cases) {
      const run = predict([node], { names, model: { name, version } });
      const error = await rejects(run, FractoryError, { reason });
      assert.match(error.message, message);
    }
    assert.is(node.predictions, 0);
    for (const model of [
      { name: 'shapes', version: 2 },
      { name: 'kept', version: 0 },
    ])
      assert.is((await predict([node], { names, model })).failed, 0);
  });

  test('only members that have the model are asked', async () => {
    await using folder = await StateFolder.create();
    await pictures(folder.path, 20);
    await using has = await FakeCnnNode.start('cnn-1', { models: [modelOf({ name: 'm' })] });
    await using lacks = await FakeCnnNode.start('cnn-2');
    await predict([lacks, has], { names: [folder.path], model: { name: 'm', version: 0 } });
    assert.equal([has.predictions, lacks.predictions], [20, 0]);
  });

  test('a member that turns out not to serve the model is left out; where none serves it one line says so', async () => {
    await using folder = await StateFolder.create();
    const names = await pictures(folder.path, 50);
    const label = (): never => {
      throw new FractoryError(status.FAILED_PRECONDITION, 'NO_CARD', 'model m takes tensors only');
    };
    await using lacks = await FakeCnnNode.start('cnn-1', { label });
    await using has = await FakeCnnNode.start('cnn-2');
    const { failed } = await predict([lacks, has], { names });
    assert.equal([failed, has.predictions], [0, 50]);
    const terminal = new RecordingTerminal();
    const error = await rejects(predict([lacks], { names }, terminal), FractoryError);
    assert.equal([error.reason, terminal.printed], ['NO_CARD', []]);
  });

  test('people get a row for each file, or for each label where there are many', async () => {
    await using folder = await StateFolder.create();
    const names = await pictures(folder.path, 60);
    await using node = await FakeCnnNode.start('cnn-1');
    const few = await predict([node], { names: names.slice(0, 2), topK: 2, json: false });
    assert.equal(
      few.terminal.printed[0]?.split('\n').map((line) => line.split(/ {2,}/)),
      [
        ['FILE', 'LABEL', 'PROBABILITY', 'THEN'],
        [names[0], 'cat', '0.750', 'other 0.250'],
        [names[1], 'dog', '0.750', 'other 0.250'],
      ],
    );
    assert.match(few.terminal.noted[0] ?? '', /^2 pictures by m@1 at cnn-1 in \d+\.\d s \(/);
    const many = await predict([node], { names: [...names, '/no\u001bwhere'], json: false });
    assert.equal(
      many.terminal.printed[0]?.split('\n').map((line) => line.split(/ {2,}/)),
      [
        ['LABEL', 'FILES', 'SHARE', 'MEAN PROBABILITY'],
        ['dog', '40', '66.7 %', '0.750'],
        ['cat', '20', '33.3 %', '0.750'],
        [''],
        ['FAILED', 'WHY'],
        ['/no?where', 'there is no file or folder /no?where'],
      ],
    );
    assert.match(many.terminal.noted[0] ?? '', /; 1 failed$/);
  });

  test('names come from standard input where - stands for them', async () => {
    await using folder = await StateFolder.create();
    const names = await pictures(folder.path, 3);
    await using node = await FakeCnnNode.start('cnn-1');
    const input = (async function* () {
      yield await Promise.resolve(`${names[1]!}\n${names[2]!}\n`);
    })();
    const { terminal } = await predict([node], { names: [names[0]!, '-'], input });
    assert.equal(
      terminal.printed.map((line) => (JSON.parse(line) as { file: string }).file),
      names,
    );
  });
});
