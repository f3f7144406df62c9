import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { cnn, math, numbersOf, sequence, storage, tensorOf } from '../../applications/sdk/index.js';
import { paintShape, SHAPES } from '../../applications/sdk/painter.js';
import type { Shape } from '../../applications/sdk/painter.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, rejects } from '../suite.js';
import { GRAPH_TIMEOUT_MS } from './graph-ground.js';
import type { GraphClaims } from './graph-ground.js';

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

/** Applications that look at pictures. */
export const pictureClaims: GraphClaims = (test, ground) => {
  const { topology } = ground;

  test(
    `image-gallery classifies all pictures as a ${topology}; broken ones say why`,
    async () => {
      const dataCenter = await ground.live();
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
      const few = path.join(dataCenter.folder, `few-${topology}`);
      await mkdir(few);
      await copyFile(path.join(images, 'star-1.png'), path.join(few, 'another star.png'));
      const two = ['--client', 'gallery', '--images', few, '--model', 'shapes'];
      const alone = await dataCenter.json<GalleryAnswer>(
        ...['run', 'image-gallery', ...two, '--topology', topology],
      );
      assert.equal(
        alone.results.map(({ picture }) => picture),
        ['another_star.png'],
      );
      const some = ['--client', 'gallery', '--prefix', 'star-', '--model', 'shapes'];
      const stars = await dataCenter.json<GalleryAnswer>(
        ...['run', 'image-gallery', ...some, '--parallelism', '1', '--topology', topology],
      );
      assert.equal([stars.pictures, stars.failed], [2, 0]);
      // What another application leaves beside the pictures is none.
      using connection = await ground.connected();
      await connection.files.write({ client: 'gallery', name: 'star-1.png.prediction.json' }, '{}');
      const again = await dataCenter.json<GalleryAnswer>(
        ...['run', 'image-gallery', ...some, '--topology', topology],
      );
      assert.equal([again.pictures, again.failed], [2, 0]);
      const wrong = ['--client', 'gallery', '--model', 'shape', '--topology', topology];
      const { code, stderr } = await dataCenter.run('run', 'image-gallery', ...wrong);
      assert.is(code, 3);
      assert.match(stderr, /no picture of gallery could be classified.*did you mean shapes/);
    },
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );

  test(
    `ensemble as a ${topology} answers what its models say together`,
    async () => {
      const live = await ground.live();
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
      using dataCenter = await ground.connected();
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
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );

  test(
    `image-match as a ${topology} compares two pictures`,
    async () => {
      const live = await ground.live();
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
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );

  test(
    `tensors go through a model as a ${topology}, and come back the same`,
    async () => {
      using dataCenter = await ground.connected();
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
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );
};
