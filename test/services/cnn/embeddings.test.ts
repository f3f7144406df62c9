import { paintShape, SHAPES } from '../../../applications/sdk/painter.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { cosine } from '../../../services/math/cosine.js';
import { validationPhotographs, whyNoPhotographs } from '../../end-to-end/photographs.js';
import { assert, suite } from '../../suite.js';
import { encoded, openCnn, shippedModels } from './fixture.js';

interface Labelled {
  readonly label: string;
  readonly data: Uint8Array;
}

/** Shares of the pairs of one kind, and of two kinds, whose embeddings are at least that similar. */
async function sharesFrom(
  limit: number,
  model: string,
  pictures: readonly Labelled[],
): Promise<{ readonly same: number; readonly other: number }> {
  await using cnn = await openCnn([shippedModels]);
  const vectors: { readonly label: string; readonly vector: Float64Array }[] = [];
  for (const { label, data } of pictures) {
    const { values } = await cnn.embed(encoded(data), { model });
    vectors.push({ label, vector: Float64Array.from(values) });
  }
  const [same, other]: [number[], number[]] = [[], []];
  for (const [index, one] of vectors.entries())
    for (const two of vectors.slice(0, index))
      (one.label === two.label ? same : other).push(cosine(one.vector, two.vector) as number);
  const share = (all: readonly number[]): number =>
    all.filter((value) => value >= limit).length / all.length;
  return { same: share(same), other: share(other) };
}

/** What `image-match` calls alike: see its `MEASURED`. */
suite('embeddings of the shipped models', (test) => {
  test(
    'photographs of one kind are alike far more often than a cat and a dog',
    async () => {
      const { same, other } = await sharesFrom(
        0.8,
        'cats-vs-dogs',
        await validationPhotographs(50),
      );
      assert.ok(same > 0.5 && other < 0.1, JSON.stringify({ same, other }));
    },
    { timeoutMs: 60_000, skip: whyNoPhotographs },
  );

  test(
    'drawn shapes of one kind are alike far more often than two kinds',
    async () => {
      const random = seededRandom(5);
      const pictures: Labelled[] = [];
      for (const label of SHAPES)
        for (let turn = 0; turn < 15; turn++)
          pictures.push({ label, data: await paintShape(label, random) });
      const { same, other } = await sharesFrom(0.85, 'shapes', pictures);
      assert.ok(same > 0.6 && other < 0.2, JSON.stringify({ same, other }));
    },
    { timeoutMs: 60_000 },
  );
});
