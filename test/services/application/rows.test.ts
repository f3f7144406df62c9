import fc from 'fast-check';

import { integerValue, jsonValue, listValue, textValue, toPlain } from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { InvocationContext } from '../../../services/adaptor.js';
import { applicationAdaptor } from '../../../services/application/adaptor.js';
import { assert, suite, throws } from '../../suite.js';

function rows(input: Value, columns: string, by?: string): unknown {
  const operation = applicationAdaptor().operations.find(
    ({ spec }) => spec.name === 'application.rows',
  );
  const args = new Map([
    ['input', input],
    ['columns', textValue(columns)],
  ]);
  if (by !== undefined) args.set('by', textValue(by));
  return toPlain(operation?.perform(args, {} as InvocationContext) as Value);
}

const column = (...values: Value[]): Value => listValue(values);

suite('rows', (test) => {
  test('by column: what stands at the same place is one row', () => {
    const pictures = column(textValue('a.png'), textValue('b.png'));
    const predictions = column(jsonValue({ label: 'cat' }), jsonValue({ failed: true }));
    assert.equal(rows(listValue([pictures, predictions]), 'picture,prediction', 'column'), [
      { picture: 'a.png', prediction: { label: 'cat' } },
      { picture: 'b.png', prediction: { failed: true } },
    ]);
    assert.equal(rows(listValue([column(), column()]), 'a,b', 'column'), []);
  });

  test('by column and by row are each other turned over', () => {
    const cells = fc.array(fc.tuple(fc.bigInt(), fc.bigInt()), { maxLength: 20 });
    fc.assert(
      fc.property(cells, (pairs) => {
        const byRow = pairs.map(([a, b]) => column(integerValue(a), integerValue(b)));
        const byColumn = [0, 1].map((place) =>
          column(...pairs.map((pair) => integerValue(pair[place] ?? 0n))),
        );
        assert.equal(
          rows(listValue(byColumn), 'a,b', 'column'),
          rows(listValue(byRow), 'a,b', 'row'),
        );
      }),
    );
  });

  test('columns that do not fit each other are refused', () => {
    const one = column(textValue('x'));
    const refused: readonly (readonly [Value, string, string])[] = [
      [listValue([one]), 'column', 'WRONG_LENGTH'],
      [listValue([one, column()]), 'column', 'WRONG_LENGTH'],
      [listValue([one, textValue('x')]), 'column', 'WRONG_KIND'],
      [listValue([one, one]), 'diagonal', 'INVALID_ARGUMENT'],
    ];
    for (const [input, by, reason] of refused)
      throws(() => rows(input, 'a,b', by), FractoryError, { reason });
  });
});
