import { createHash } from 'node:crypto';

import fc from 'fast-check';

import { select } from '../../../../../services/cnn/training/data/selection.js';
import type { FoundPicture } from '../../../../../services/cnn/training/data/selection.js';
import { assert, suite } from '../../../../suite.js';

const OPTIONS = { sampleLimit: 0, seed: 1n, validationShare: 0.1 };

function picture(
  index: number,
  label: string,
  content: string,
  side: FoundPicture['side'] = 'open',
): FoundPicture {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const path = `${label}/${String(index)}`;
  return { index, key: path, path, label, side, sha256 };
}

function many(count: number, label: string): FoundPicture[] {
  return Array.from({ length: count }, (_, at) => picture(at, label, `${label} ${String(at)}`));
}

suite('the choice of pictures', (test) => {
  test('a content stands once and on one side only, whatever the files', async () => {
    const file = fc.record({
      label: fc.constantFrom('a', 'b'),
      content: fc.nat({ max: 12 }),
      side: fc.constantFrom('open' as const, 'training' as const, 'validation' as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(file, { maxLength: 60 }), async (files) => {
        const found = files.map(({ label, content, side }, index) =>
          picture(index, label, String(content), side),
        );
        const { pictures, duplicates, contradictions } = await select(found, OPTIONS);
        const contents = pictures.map(({ sha256 }) => sha256);
        assert.is(new Set(contents).size, contents.length);
        assert.is(pictures.length + duplicates + contradictions.length, files.length);
      }),
    );
  });

  test('where folders give both sides of a content, it validates', async () => {
    const found = [
      ...[picture(0, 'a', 'x', 'training'), picture(1, 'a', 'x', 'validation')],
      picture(2, 'a', 'y', 'open'),
    ];
    const { pictures, split, duplicates } = await select(found, OPTIONS);
    assert.is(split, 'folders');
    assert.is(duplicates, 1);
    assert.is(pictures.find(({ index }) => index === 1)?.side, 'validation');
    assert.is(pictures.find(({ index }) => index === 2)?.side, 'training');
  });

  test('the same content in two classes is used in neither', async () => {
    const { pictures, contradictions } = await select(
      [picture(0, 'a', 'x'), picture(1, 'b', 'x'), ...many(4, 'a')],
      OPTIONS,
    );
    assert.is(contradictions.length, 2);
    assert.is(pictures.length, 4);
  });

  test('a split by content takes about its share, and a picture stays on its side when others go', async () => {
    const all = many(2000, 'a');
    const sideOf = async (found: readonly FoundPicture[]): Promise<Map<string, string>> =>
      new Map((await select(found, OPTIONS)).pictures.map(({ sha256, side }) => [sha256, side]));
    const sides = await sideOf(all);
    const validating = [...sides.values()].filter((side) => side === 'validation').length;
    assert.ok(validating > 140 && validating < 260, String(validating));
    for (const [sha256, side] of await sideOf(all.slice(0, 900)))
      assert.is(side, sides.get(sha256));
  });

  test('the smallest class has pictures on both sides', async () => {
    const { pictures } = await select(many(2, 'a'), OPTIONS);
    assert.equal(new Set(pictures.map(({ side }) => side)), new Set(['training', 'validation']));
  });

  test('a sample depends on the seed and the content, not on the order of the files', async () => {
    const all = many(100, 'a');
    const sample = async (found: readonly FoundPicture[], seed: bigint): Promise<string[]> =>
      (await select(found, { ...OPTIONS, sampleLimit: 20, seed })).pictures.map(
        ({ sha256 }) => sha256,
      );
    const first = await sample(all, 1n);
    assert.is(first.length, 20);
    assert.equal(await sample([...all].reverse(), 1n), first);
    assert.not.equal(await sample(all, 2n), first);
  });
});
