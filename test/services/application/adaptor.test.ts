import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import {
  failureValue,
  integerValue,
  jsonValue,
  listValue,
  textValue,
  toPlain,
} from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { applicationAdaptor } from '../../../services/application/adaptor.js';
import type { InvocationContext } from '../../../services/adaptor.js';
import { assert, suite, throws } from '../../suite.js';

function perform(name: string, args: Record<string, Value>): unknown {
  const operation = applicationAdaptor().operations.find(({ spec }) => spec.name === name);
  // Neither of them looks at its context.
  const result = operation?.perform(new Map(Object.entries(args)), {} as InvocationContext);
  return toPlain(result as Value);
}

const rows = (columns: string, ...input: Value[]): unknown =>
  perform('application.rows', { input: listValue(input), columns: textValue(columns) });

suite('application operations', (test) => {
  test('explain makes JSON of a failure', () => {
    const failure = {
      ...{ code: 5, reason: 'FILE_NOT_FOUND', message: 'there is no x.jpg', step: 'read[3]' },
      ...{ member: 'storage-1', metadata: {}, retryAfterMs: 0 },
    };
    assert.equal(perform('application.explain', { input: failureValue(failure) }), {
      ...{ failed: true, step: 'read[3]', member: 'storage-1' },
      ...{ reason: 'FILE_NOT_FOUND', message: 'there is no x.jpg' },
    });
  });

  test('rows makes objects of lists; JSON bytes become what they encode', () => {
    assert.equal(
      rows(
        'picture, prediction',
        listValue([textValue('a.jpg'), jsonValue({ label: 'cat' })]),
        listValue([textValue('b.jpg'), integerValue(2n)]),
      ),
      [
        { picture: 'a.jpg', prediction: { label: 'cat' } },
        { picture: 'b.jpg', prediction: '2' },
      ],
    );
    assert.equal(rows('n'), []);
    assert.equal(rows('n', integerValue(1n), listValue([integerValue(2n)])), [
      { n: '1' },
      { n: '2' },
    ]);
  });

  test('rows refuses names that are none, and rows of another length', () => {
    const row = listValue([integerValue(1n)]);
    for (const columns of ['', 'a,', 'a b', '__proto__', 'a,a'])
      throws(() => rows(columns, row), FractoryError, { reason: 'INVALID_ARGUMENT' });
    throws(() => rows('a,b', row), FractoryError, { reason: 'WRONG_LENGTH' });
    throws(() => rows('a,b', integerValue(1n)), FractoryError, { reason: 'WRONG_KIND' });
  });
});
