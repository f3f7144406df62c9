import fc from 'fast-check';

import { Value } from '../../protos/gen/fractory/v1/value.js';
import {
  bytesValue,
  failureValue,
  integerValue,
  jsonValue,
  kindOf,
  listValue,
  numberValue,
  sizeOf,
  tensorValue,
  textValue,
  toBlob,
  toPlain,
} from '../../protos/values.js';
import { assert, suite } from '../suite.js';

const tensor = { datatype: 'FP32', shape: [1n, 2n], data: new Uint8Array(8) };
const failure = {
  code: 5,
  reason: 'X',
  message: 'gone',
  step: 's',
  member: 'm',
  retryAfterMs: 0,
  metadata: {},
};

const rows: [string, Value, number, unknown, string, string][] = [
  [
    'bytes',
    bytesValue('image/png', new Uint8Array([1, 2])),
    2,
    { mediaType: 'image/png', bytes: 2 },
    'image/png',
    '\u0001\u0002',
  ],
  ['text', textValue('süß'), 5, 'süß', 'text/plain', 'süß'],
  [
    'integer',
    integerValue(-(10n ** 30n)),
    32,
    `-1${'0'.repeat(30)}`,
    'text/plain',
    `-1${'0'.repeat(30)}`,
  ],
  ['number', numberValue(0.5), 8, 0.5, 'text/plain', '0.5'],
  [
    'tensor',
    tensorValue(tensor),
    8,
    { datatype: 'FP32', shape: [1, 2], bytes: 8 },
    'application/json',
    '{"datatype":"FP32","shape":[1,2],"data":"AAAAAAAAAAA="}',
  ],
  [
    'list',
    listValue([integerValue(1n), textValue('a')]),
    2,
    ['1', 'a'],
    'application/json',
    '["1","a"]',
  ],
  ['failure', failureValue(failure), 4, failure, 'application/json', JSON.stringify(failure)],
  ['bytes', jsonValue({ a: [1] }), 9, { a: [1] }, 'application/json', '{"a":[1]}'],
];

suite('values', (test) => {
  for (const [kind, value, bytes, plain, mediaType, text] of rows)
    test(`${kind} ${text.slice(0, 20)}: kind, size, plain form, file and encoding agree`, () => {
      assert.is(kindOf(value), kind);
      assert.is(sizeOf(value), bytes);
      assert.equal(toPlain(value), plain);
      const blob = toBlob(value);
      assert.equal([blob.mediaType, Buffer.from(blob.data).toString()], [mediaType, text]);
      assert.equal(kindOf(Value.decode(Value.encode(value).finish())), kind);
    });

  test('an integer of any size comes through its encoding', () => {
    fc.assert(
      fc.property(fc.bigInt(), (integer) => {
        const back = Value.decode(Value.encode(integerValue(integer)).finish());
        assert.is(back.kind?.$case === 'integer' && BigInt(back.kind.value), integer);
      }),
    );
  });

  test('no value has no kind, no size and is null', () => {
    for (const value of [undefined, {}]) {
      assert.equal([kindOf(value), sizeOf(value), toPlain(value)], [undefined, 0, null]);
    }
  });

  test('bytes that claim to be JSON and are not stay bytes', () => {
    const broken = bytesValue('application/json', Buffer.from('{"a":'));
    assert.equal(toPlain(broken), { mediaType: 'application/json', bytes: 5 });
    assert.equal(JSON.parse(Buffer.from(toBlob(listValue([broken])).data).toString()), [
      { mediaType: 'application/json', data: Buffer.from('{"a":').toString('base64') },
    ]);
  });
});
