import { BatchFeed } from '../../../../../services/cnn/training/augment/batch-feed.js';
import type { BatchPlan } from '../../../../../services/cnn/training/augment/batch-feed.js';
import { drawView, ViewMaker } from '../../../../../services/cnn/training/augment/view.js';
import { PixelStore } from '../../../../../services/cnn/training/data/pixel-store.js';
import { randomOf } from '../../../../../services/cnn/training/random.js';
import { assert, suite } from '../../../../suite.js';

const SEED = 7n;

function fixture(): {
  readonly feed: BatchFeed;
  readonly store: PixelStore;
  readonly slots: Int32Array;
} {
  const store = PixelStore.create(6, 32);
  const random = randomOf(1);
  for (let at = 0; at < 6; at++)
    store.picture(at).forEach((_, pixel, all) => (all[pixel] = random() * 256));
  // The third slot holds a picture that could not be decoded.
  const slots = Int32Array.from([0, 1, 3, 4, 5]);
  const feed = new BatchFeed(
    { pixels: store.memory, slots, seed: SEED },
    Int32Array.from([0, 1, 0, 1, 1]),
  );
  return { feed, store, slots };
}

function plan(epoch: number, size: number, ...pictures: number[]): BatchPlan {
  return { epoch, size, gentle: false, pictures: Int32Array.from(pictures) };
}

suite('batches of views', (test) => {
  test('come in order, whatever their sizes, with the views that were drawn for each picture', async () => {
    const { store, slots, ...owned } = fixture();
    await using feed = owned.feed;
    const plans = [plan(0, 16, 4, 0), plan(0, 32, 1, 2), plan(1, 16, 2, 3), plan(1, 16, 4, 0)];
    let step = 0;
    for await (const { pixels, labels, size } of feed.batches(plans)) {
      const { epoch, pictures, size: wanted } = plans[step++]!;
      assert.is(size, wanted);
      assert.equal(
        [...labels],
        [...pictures].map((picture) => [0, 1, 0, 1, 1][picture]),
      );
      const expected = new Float32Array(pixels.length);
      pictures.forEach((picture, at) => {
        const drawn = drawView(randomOf(SEED, epoch, picture), false);
        const offset = at * 3 * size * size;
        new ViewMaker(32, size).make(store.picture(slots[picture]!), drawn, expected, offset);
      });
      assert.equal(pixels, expected);
    }
    assert.is(step, 4);
  });

  test('an epoch that is given up leaves nothing behind for the next', async () => {
    await using feed = fixture().feed;
    const many = Array.from({ length: 9 }, () => plan(0, 16, 0, 1));
    for await (const batch of feed.batches(many)) {
      assert.equal([...batch.labels], [0, 1]);
      break;
    }
    const found: number[][] = [];
    for await (const { labels } of feed.batches([plan(0, 16, 2, 3)])) found.push([...labels]);
    assert.equal(found, [[0, 1]]);
  });
});
