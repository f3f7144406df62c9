import fc from 'fast-check';

import { jsonValue, listValue, textValue, toPlain } from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { InvocationContext } from '../../../services/adaptor.js';
import { blend, blendOperation } from '../../../services/math/blend.js';
import type { Opinion } from '../../../services/math/blend.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import { assert, suite, throws } from '../../suite.js';

function opinion(model: string, probabilities: Record<string, number>): Opinion {
  const top = Object.entries(probabilities)
    .map(([label, probability]) => ({ label, probability }))
    .sort((one, other) => other.probability - one.probability);
  return { ...(top[0] ?? { label: '', probability: 0 }), top, model, version: 1 };
}

const cat = opinion('a', { cat: 0.75, dog: 0.25 });
const dog = opinion('b', { dog: 1, cat: 0 });

function perform(input: Value, weights?: string): Value {
  const args = new Map([['input', input]]);
  if (weights !== undefined) args.set('weights', textValue(weights));
  return blendOperation(DEFAULT_MATH_LIMITS).perform(args, {} as InvocationContext) as Value;
}

suite('blend', (test) => {
  test('is the mean of what the models say', () => {
    assert.equal(toPlain(perform(listValue([jsonValue(cat), jsonValue(dog)]))), {
      label: 'dog',
      probability: 0.625,
      top: [
        { label: 'dog', probability: 0.625 },
        { label: 'cat', probability: 0.375 },
      ],
      models: [
        { model: 'a', version: 1, label: 'cat', probability: 0.75, weight: 0.5 },
        { model: 'b', version: 1, label: 'dog', probability: 1, weight: 0.5 },
      ],
    });
  });

  test('weights say what each counts', () => {
    const { label, probability } = toPlain(
      perform(listValue([jsonValue(cat), jsonValue(dog)]), '3, 1'),
    ) as Opinion;
    assert.equal([label, probability], ['cat', 0.5625]);
  });

  test('stays a distribution, whatever the weights', () => {
    const opinions = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 9 })),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(opinions, (given) => {
        const blended = blend(
          given.map(([cats], index) => opinion(String(index), { cat: cats, dog: 1 - cats })),
          given.map(([, weight]) => weight),
        );
        const sum = blended.top.reduce((total, { probability }) => total + probability, 0);
        assert.ok(Math.abs(sum - 1) < 1e-9);
        assert.ok(blended.top.every(({ probability }) => probability <= blended.probability));
      }),
    );
  });

  test('what is no prediction, and weights that do not fit, are refused', () => {
    const both = listValue([jsonValue(cat), jsonValue(dog)]);
    const rows: readonly (readonly [Value, string | undefined, string])[] = [
      [textValue('x'), undefined, 'NOT_A_LIST'],
      [listValue([]), undefined, 'NOT_BLENDABLE'],
      [listValue([textValue('cat')]), undefined, 'NOT_A_PREDICTION'],
      [listValue([jsonValue({ failed: true })]), undefined, 'NOT_A_PREDICTION'],
      [
        listValue([jsonValue({ ...cat, top: [{ label: 'cat', probability: 2 }] })]),
        undefined,
        'NOT_A_PREDICTION',
      ],
      [both, '1', 'NOT_BLENDABLE'],
      [both, '1,x', 'NOT_BLENDABLE'],
      [both, '1,-1', 'NOT_BLENDABLE'],
      [both, '0,0', 'NOT_BLENDABLE'],
      [both, '1,', 'NOT_BLENDABLE'],
    ];
    for (const [input, weights, reason] of rows)
      throws(() => perform(input, weights), FractoryError, { reason });
  });
});
