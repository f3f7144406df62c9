import {
  learningRateAt,
  orderAt,
  planTraining,
  showingAt,
  usualEpochs,
} from '../../../../../services/cnn/training/loop/schedule.js';
import { assert, suite } from '../../../../suite.js';

const GIVEN = { epochs: 20, size: 64, seed: 1n, strongViews: true };

suite('the schedule of a training', (test) => {
  test('the learning rate rises over the first 15 % of the steps and falls to next to nothing', () => {
    const plan = planTraining(GIVEN, 12_800);
    const steps = plan.epochs * plan.stepsPerEpoch;
    const rates = Array.from({ length: steps }, (_, step) => learningRateAt(plan, step));
    const top = rates.indexOf(Math.max(...rates));
    assert.ok(Math.abs(top / steps - 0.15) < 0.01, String(top / steps));
    assert.ok(Math.abs(rates[top]! - 0.15) < 1e-4);
    assert.ok(Math.abs(rates[0]! - 0.15 / 25) < 1e-9);
    assert.ok(rates.at(-1)! < 1e-5);
    for (let step = 1; step < steps; step++)
      assert.is(rates[step]! > rates[step - 1]!, step <= top, String(step));
  });

  test('few pictures are seen more often, unless somebody says how often', () => {
    assert.equal([100_000, 8000, 1800, 300, 32].map(usualEpochs), [20, 20, 50, 200, 200]);
  });

  test('a step has no more pixels than fit into memory, whatever the size', () => {
    for (const size of [32, 64, 112, 160]) {
      const { batch, sizes } = planTraining({ ...GIVEN, size }, 100_000);
      assert.ok(batch * sizes[2] ** 2 <= 128 * 96 ** 2, String(size));
      assert.ok(batch >= 16, String(size));
    }
    assert.is(planTraining(GIVEN, 100_000).batch, 128);
  });

  test('pictures are small first and large later, and whole at the end', () => {
    const plan = planTraining(GIVEN, 12_800);
    assert.equal(
      [0, 7, 8, 14, 15, 17, 18].map((epoch) => showingAt(plan, epoch)),
      [
        ...[64, 64, 80, 80, 96, 96].map((size) => ({ size, gentle: false })),
        { size: 96, gentle: true },
      ],
    );
    assert.is(showingAt({ ...plan, strongViews: false }, 0).gentle, true);
  });

  test('every picture is seen once in an epoch, in an order of its own', () => {
    const plan = planTraining(GIVEN, 1000);
    const [one, two] = [orderAt(plan, 0, 1000), orderAt(plan, 1, 1000)];
    assert.equal(
      [...one].sort((a, b) => a - b),
      Array.from({ length: 1000 }, (_, at) => at),
    );
    assert.not.equal(one, two);
    assert.equal(orderAt(plan, 0, 1000), one);
  });

  test('few pictures make small batches and short memories, and even one epoch has a step', () => {
    assert.equal(
      [20, 100, 300, 1000, 20_000].map((pictures) => planTraining(GIVEN, pictures).batch),
      [16, 16, 32, 32, 128],
    );
    const tiny = planTraining({ ...GIVEN, epochs: 1 }, 20);
    assert.is(tiny.stepsPerEpoch, 1);
    assert.ok(Number.isFinite(learningRateAt(tiny, 0)) && learningRateAt(tiny, 0) > 0);
    assert.ok(tiny.averaging >= 0 && tiny.averaging < 0.5);
    assert.is(planTraining(GIVEN, 200_000).averaging, 0.998);
  });
});
