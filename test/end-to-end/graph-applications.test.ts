import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';
import sharp from 'sharp';

import {
  applicationNode,
  cnn,
  DataCenter,
  join,
  map,
  math,
  numbersOf,
  onFailure,
  parallel,
  sequence,
  step,
  storage,
  tensorOf,
  withLimits,
} from '../../applications/sdk/index.js';
import type { Flow, None, Text } from '../../applications/sdk/index.js';
import { paintShape, SHAPES } from '../../applications/sdk/painter.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import type { Shape } from '../../applications/sdk/painter.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, rejects, suite } from '../suite.js';
import { ForeignClient } from './foreign-client.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';

const timeoutMs = 60_000;
const topologies = ['ring', 'star'] as const;
const shared = new Shared(() =>
  LiveDataCenter.up({
    FRACTORY_ZOOKEEPER_SERVERS: '1',
    FRACTORY_MATH_CONTROLLER_INSTANCES: '2',
  }),
);

interface Row {
  readonly picture: string;
  readonly label?: string;
  readonly reason?: string;
  readonly problem?: string;
}

interface GalleryAnswer {
  readonly pictures: number;
  readonly failed: number;
  readonly storedAs: string;
  readonly results: readonly Row[];
}

interface MatchAnswer {
  readonly answer: string;
  readonly similarity: number;
  readonly verdict: string;
  readonly image: string;
  readonly other: string;
  readonly runs: readonly { readonly receipts: readonly { readonly operation: string }[] }[];
}

async function connected(topology: 'ring' | 'star'): Promise<DataCenter & Disposable> {
  const { address } = await (await shared.get()).leader('application');
  const dataCenter = new DataCenter({
    ...{ application: 'test', credentials: { mode: 'open' }, topology },
    applicationNodes: [address],
  });
  return Object.assign(dataCenter, {
    [Symbol.dispose]: () => {
      dataCenter.close();
    },
  });
}

/** A folder with each shape twice, and two files that are no pictures. */
async function paintedFolder(parent: string): Promise<string> {
  const folder = path.join(parent, 'pictures');
  await mkdir(folder, { recursive: true });
  const random = seededRandom(11);
  for (const shape of SHAPES)
    for (const turn of ['1', '2'])
      await writeFile(path.join(folder, `${shape}-${turn}.png`), await paintShape(shape, random));
  const whole = await readFile(path.join(folder, 'star-1.png'));
  await writeFile(path.join(folder, 'cut-off.png'), whole.subarray(0, whole.length / 2));
  await writeFile(path.join(folder, 'notes.png'), 'no picture at all');
  await writeFile(path.join(folder, 'notes.txt'), 'neither by name');
  return folder;
}

/** 1^e + ... + n^e by Faulhaber's formulas. */
const closedFormulas: readonly ((n: bigint) => bigint)[] = [
  (n) => n,
  (n) => (n * (n + 1n)) / 2n,
  (n) => (n * (n + 1n) * (2n * n + 1n)) / 6n,
  (n) => ((n * (n + 1n)) / 2n) ** 2n,
  (n) => (n * (n + 1n) * (2n * n + 1n) * (3n * n * n + 3n * n - 1n)) / 30n,
];

suite('applications that need more than a sequence', (test) => {
  test(
    'a plan is printed in each form, and nothing is run or written',
    async () => {
      const dataCenter = await shared.get();
      const plan = (...args: string[]) => dataCenter.ok('run', ...args, '--plan');
      const { stdout: text } = await plan('image-gallery', '--client', 'ada');
      assert.match(
        text,
        /^plan of image-gallery: 7 steps as a ring, 30 s at most; nothing has run$/m,
      );
      assert.match(
        text,
        /^ +read-3 {2}storage\.read on storage-\d\n.*name from the element\n.*client = "ada"$/m,
      );
      const star = await plan('big-sum', '--topology', 'star', '--json', '--budget', '7');
      const { steps, ...rest } = JSON.parse(star.stdout) as {
        steps: { step: string; members: string[] }[];
      };
      assert.equal(rest, { plan: 'big-sum', topology: 'star', budgetMs: 7000 });
      assert.equal(steps.find((one) => one.step === 'sum_powers-3')?.members.sort(), [
        'math-1',
        'math-2',
      ]);
      const mermaid = await plan('shift-left', '--n', '5', '--format', 'mermaid');
      assert.match(mermaid.stdout, /^flowchart TD\n/);
      const image = path.join(dataCenter.folder, 'planned.png');
      await writeFile(image, await paintShape('star', seededRandom(3)));
      const svg = await plan('ensemble', '--image', image, '--format', 'svg');
      await sharp(Buffer.from(svg.stdout)).png().toBuffer();

      const wrong = await dataCenter.run('run', 'template', '--format', 'svg');
      assert.is(wrong.code, 2);
      assert.match(wrong.stderr, /--format: .*needs --plan/);
      const impossible = await dataCenter.run('run', 'big-sum', '--parts', '0', '--plan');
      assert.match(impossible.stderr, /--parts: expected 1 to 10000, found 0/);
      const { address } = await dataCenter.leader('application');
      const { runs = [] } = await new ForeignClient(address).call<{ runs?: unknown[] }>(
        'ApplicationService/List',
        {},
      );
      assert.equal(runs, []);
      assert.not.ok(existsSync(path.join(dataCenter.statePath, 'storage', 'admin')));
    },
    { timeoutMs },
  );

  for (const topology of topologies) {
    test(
      `image-gallery classifies all pictures as a ${topology}; broken ones say why`,
      async () => {
        const dataCenter = await shared.get();
        const images = await paintedFolder(dataCenter.folder);
        const args = ['--client', 'gallery', '--images', images, '--model', 'shapes'];
        const answer = await dataCenter.json<GalleryAnswer>(
          ...['run', 'image-gallery', ...args, '--topology', topology],
        );
        assert.equal([answer.pictures, answer.failed], [10, 2]);
        for (const { picture, label, reason, problem } of answer.results)
          if (picture === 'notes.png')
            assert.match(`${reason ?? ''} ${problem ?? ''}`, /^UNSUPPORTED_IMAGE .*is none of/);
          else if (picture === 'cut-off.png') assert.is(reason, 'BROKEN_IMAGE');
          else assert.is(label, picture.split('-')[0], picture);
        const report = path.join(dataCenter.statePath, 'storage', ...answer.storedAs.split('/'));
        const rows = JSON.parse(await readFile(report, 'utf8')) as { picture: string }[];
        assert.equal(
          rows.map(({ picture }) => picture),
          answer.results.map(({ picture }) => picture),
        );
        const some = ['--client', 'gallery', '--prefix', 'star-', '--model', 'shapes'];
        const stars = await dataCenter.json<GalleryAnswer>(
          ...['run', 'image-gallery', ...some, '--parallelism', '1', '--topology', topology],
        );
        assert.equal([stars.pictures, stars.failed], [2, 0]);
        // What another application leaves beside the pictures is none.
        using connection = await connected(topology);
        await connection.files.write(
          { client: 'gallery', name: 'star-1.png.prediction.json' },
          '{}',
        );
        const again = await dataCenter.json<GalleryAnswer>(
          ...['run', 'image-gallery', ...some, '--topology', topology],
        );
        assert.equal([again.pictures, again.failed], [2, 0]);
        const wrong = ['--client', 'gallery', '--model', 'shape', '--topology', topology];
        const { code, stderr } = await dataCenter.run('run', 'image-gallery', ...wrong);
        assert.is(code, 3);
        assert.match(stderr, /no picture of gallery could be classified.*did you mean shapes/);
      },
      { timeoutMs },
    );

    test(
      `ensemble as a ${topology} answers what its models say together`,
      async () => {
        const live = await shared.get();
        const image = path.join(live.folder, `${topology}.png`);
        await writeFile(image, await paintShape('circle', seededRandom(5)));
        const answer = await live.json<{
          label: string;
          probability: number;
          models: { model: string; label: string; probability: number; weight: number }[];
        }>('run', 'ensemble', '--image', image, '--weights', '1,3', '--topology', topology);
        assert.equal(
          answer.models.map(({ model, weight }) => [model, weight]),
          [
            ['cats-vs-dogs', 0.25],
            ['cats-vs-dogs-small', 0.75],
          ],
        );
        using dataCenter = await connected(topology);
        const picture = storage.read({ client: 'admin', name: `${topology}.png` });
        let expected = 0;
        for (const { model, weight, label, probability } of answer.models) {
          const { result } = await dataCenter.run(sequence(picture, cnn.predict({ model })));
          assert.equal([result.label, result.probability], [label, probability]);
          expected +=
            weight * (result.top.find((one) => one.label === answer.label)?.probability ?? 0);
        }
        assert.ok(Math.abs(expected - answer.probability) < 1e-9);
      },
      { timeoutMs },
    );

    test(
      `image-match as a ${topology} compares two pictures`,
      async () => {
        const live = await shared.get();
        const match = (...args: string[]): Promise<MatchAnswer> =>
          live.json<MatchAnswer>('run', 'image-match', ...args, '--topology', topology);
        const paint = async (folder: string, shape: Shape, seed: number): Promise<string> => {
          const file = path.join(live.folder, folder, 'match.png');
          await mkdir(path.dirname(file), { recursive: true });
          await writeFile(file, await paintShape(shape, seededRandom(seed)));
          return file;
        };
        // Three pictures of the same name: they are not taken for one.
        const star = await paint('one', 'star', 1);
        const another = await paint('two', 'star', 2);
        const circle = await paint('three', 'circle', 3);
        const shapes = ['--client', `match-${topology}`, '--model', 'shapes'];
        const same = await match(...shapes, '--image', star, '--other', star);
        assert.ok(same.similarity > 1 - 1e-6, String(same.similarity));
        assert.is(same.verdict, 'alike');
        const alike = await match(...shapes, '--image', star, '--other', another);
        const unlike = await match(...shapes, '--image', star, '--other', circle);
        assert.ok(alike.similarity > unlike.similarity + 0.1, JSON.stringify([alike, unlike]));
        assert.equal(
          [alike.image, alike.other],
          [`match-${topology}/match.png`, `match-${topology}/other-match.png`],
        );
        const operations = alike.runs[0]?.receipts.map(({ operation }) => operation).sort();
        assert.equal(operations, [
          ...['cnn.embed', 'cnn.embed', 'math.cosine', 'storage.read', 'storage.read'],
        ]);
        // What is called alike is the caller's to say.
        const strict = ['--alike', '1', '--different', '1'];
        const told = await match(...shapes, '--image', star, '--other', another, ...strict);
        assert.is(told.verdict, 'different');
        assert.match(told.answer, /^similarity 0\.\d\d: different$/);
        const drawn = await live.ok('run', 'image-match', '--topology', topology);
        assert.match(drawn.stdout, /^answer +similarity \d\.\d\d: /);
        assert.match(drawn.stderr, /drew two stars/);
      },
      { timeoutMs },
    );

    test(
      `tensors go through a model as a ${topology}, and come back the same`,
      async () => {
        using dataCenter = await connected(topology);
        const picture = { client: 'tensors', name: 'star.png' };
        await dataCenter.files.write(picture, await paintShape('star', seededRandom(4)));
        const read = storage.read(picture);
        const embedded = sequence(read, cnn.embed({ model: 'shapes' }));
        const { result: vector } = await dataCenter.run(embedded);
        const numbers = numbersOf(vector);
        assert.equal([vector.datatype, vector.shape], ['FP32', [BigInt(numbers.length)]]);
        assert.ok(numbers.some((number) => number !== 0));
        const turned = Array.from(numbers, (number) => -number);
        const opposite = await dataCenter.run(sequence(embedded, math.cosine({ b: turned })));
        assert.ok(opposite.result < -1 + 1e-6, String(opposite.result));

        const input = tensorOf('FP32', [1, 3, 48, 48], new Float32Array(3 * 48 * 48).fill(0.5));
        const once = await dataCenter.run(cnn.infer({ model: 'shapes', input, outputs: [] }));
        const [logits] = once.result;
        assert.ok(logits);
        assert.is(numbersOf(logits).length, 4);
        const stored = { client: 'tensors', name: 'logits.json' };
        await dataCenter.run(
          sequence(cnn.infer({ model: 'shapes', input: [input] }), storage.write(stored)),
        );
        const written = JSON.parse((await dataCenter.files.read(stored)).toString()) as {
          datatype: string;
          data: string;
        };
        assert.is(written.datatype, 'FP32');
        assert.is(written.data, Buffer.from(logits.data).toString('base64'));
        const wrong = tensorOf('FP32', [1, 3], [1, 2, 3]);
        await rejects(dataCenter.run(cnn.infer({ model: 'shapes', input: wrong })), FractoryError, {
          code: status.INVALID_ARGUMENT,
        });
      },
      { timeoutMs },
    );

    test(
      `big-sum as a ${topology} is exact, and all math nodes take part`,
      async () => {
        const dataCenter = await shared.get();
        // On a busy machine a member may be passed over for a while.
        const summedBy = new Set<string>();
        for (const [exponent, formula] of closedFormulas.entries()) {
          const n = 12_345n * 10n ** BigInt(Math.max(0, 2 - exponent));
          const parts = String(7 + exponent);
          const args = ['--n', String(n), '--exponent', String(exponent), '--parts', parts];
          const answer = await dataCenter.json<{ sum: string; summedBy: string }>(
            ...['run', 'big-sum', ...args, '--topology', topology],
          );
          assert.is(answer.sum, String(formula(n)), `exponent ${String(exponent)}`);
          for (const member of answer.summedBy.split(', ')) summedBy.add(member);
        }
        assert.equal([...summedBy].sort(), ['math-1', 'math-2']);
        const none = await dataCenter.json<Record<string, string>>('run', 'big-sum', '--n', '0');
        assert.equal([none['sum'], none['summedBy']], ['0', undefined]);
      },
      { timeoutMs },
    );

    test(
      `flows of all forms yield what they say as a ${topology}`,
      async () => {
        using dataCenter = await connected(topology);
        await dataCenter.files.write({ client: 'flows', name: 'five.txt' }, '5');
        const five = storage.read({ client: 'flows', name: 'five.txt', as: 'integer' });
        const explain = applicationNode.explain();
        const result = async <Out>(flow: Flow<None, Out>) => (await dataCenter.run(flow)).result;

        const both = parallel(math.factorial(), math.add({ by: 1n }));
        assert.equal(await result(sequence(five, both)), [120n, 6n]);
        const named = sequence(
          parallel(five, math.factorial({ input: 3n })),
          join(['input', 'by'], math.multiply()),
        );
        assert.is(await result(named), 30n);
        assert.equal(await result(map(both, { elements: [4n, 10n], parallelism: 1 })), [
          [24n, 5n],
          [3628800n, 11n],
        ]);
        const inner = sequence(math.split({ parts: 2n }), map(math.sumPowers({ exponent: 1n })));
        assert.equal(await result(map(inner, { elements: [4n, 10n] })), [
          [3n, 7n],
          [15n, 40n],
        ]);
        assert.equal(await result(map(math.factorial(), { elements: [] })), []);

        const negative = math.factorial({ input: -1n });
        const [failed, done] = await result(
          parallel(onFailure(negative, explain), math.factorial({ input: 4n })),
        );
        assert.is(done, 24n);
        assert.ok(typeof failed === 'object');
        assert.equal(
          [failed.failed, failed.step, failed.reason],
          [true, 'factorial-1', 'OUT_OF_RANGE'],
        );
        assert.is(await result(onFailure(five, explain)), 5n);
        const alone = map(math.factorial(), { elements: [1n, -4n] });
        const error = await rejects(dataCenter.run(alone), FractoryError, {
          reason: 'OUT_OF_RANGE',
        });
        assert.is(error.metadata['step'], 'factorial-2[1]');
        const slow = step<None, Text>('math.evaluate', {
          expression: 'sum(map(1:100000, f(x) = x^2))',
        });
        await rejects(dataCenter.run(withLimits(slow, { timeoutMs: 1 })), FractoryError, {
          reason: 'STEP_TIMEOUT',
        });
      },
      { timeoutMs },
    );

    test(
      `content of any size is complemented as a ${topology}`,
      async () => {
        using dataCenter = await connected(topology);
        for (const sizeBytes of [0, 5, 65_536, 3_000_001]) {
          const content = Buffer.from({ length: sizeBytes, 0: 7, 4: 255 });
          const [from, to] = ['content', 'complement'].map((name) => ({ client: 'flows', name }));
          if (!from || !to) throw new Error('two names');
          await dataCenter.files.write(from, content);
          await dataCenter.run(sequence(storage.read(from), math.complement(), storage.write(to)));
          const complement = await dataCenter.files.read(to);
          assert.ok(complement.equals(Buffer.from(content.map((byte) => 255 - byte))));
          // The result of a run comes whole, wherever it was kept.
          const twice = await dataCenter.run(sequence(storage.read(to), math.complement()));
          assert.ok(content.equals(twice.result.data));
        }
      },
      { timeoutMs },
    );
  }

  leavesNothing(test, shared, { timeoutMs });
});
