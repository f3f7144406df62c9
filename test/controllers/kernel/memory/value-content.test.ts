import fc from 'fast-check';

import { status } from '@grpc/grpc-js';

import { assemble, materialize } from '../../../../controllers/kernel/memory/value-content.js';
import { ValueList } from '../../../../protos/gen/fractory/v1/value.js';
import type { Memory, Value } from '../../../../protos/gen/fractory/v1/value.js';
import {
  bytesValue,
  failureValue,
  integerValue,
  listValue,
  numberValue,
  tensorValue,
  textValue,
} from '../../../../protos/values.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, rejects, suite, throws } from '../../../suite.js';

const none = new Uint8Array(0);

/** Takes values apart: their forms go into memories, their bytes into a table. */
class Producer {
  readonly #contents: Uint8Array[] = [];
  fetched = 0;

  memory(form: Value, content: Uint8Array): Value {
    const memory: Memory = {
      ...{ capability: undefined, form, sha256: Uint8Array.of(this.#contents.length) },
      sizeBytes: BigInt(content.length),
    };
    this.#contents.push(content);
    return { kind: { $case: 'memory', value: memory } };
  }

  readonly fetch = (memory: Memory): Promise<Uint8Array> => {
    this.fetched++;
    return Promise.resolve(this.#contents[memory.sha256[0]!]!);
  };
}

const tensor = { datatype: 'UINT8', shape: [2n, 2n], data: Buffer.from([1, 2, 3, 4]) };

suite('values whose bytes are in memories', (test) => {
  test('each kind comes back as it was', async () => {
    const list = [integerValue(5n), textValue('in a list')];
    for (const [form, content, expected] of [
      [
        bytesValue('image/png', none),
        Buffer.from('png'),
        bytesValue('image/png', Buffer.from('png')),
      ],
      [textValue(''), Buffer.from('\ufeffgrün'), textValue('\ufeffgrün')],
      [
        integerValue(0n),
        Buffer.from('-123456789012345678901234567890'),
        integerValue('-123456789012345678901234567890'),
      ],
      [tensorValue({ ...tensor, data: none }), tensor.data, tensorValue(tensor)],
      [listValue([]), ValueList.encode({ values: list }).finish(), listValue(list)],
    ] as const) {
      const producer = new Producer();
      const whole = await materialize(producer.memory(form, content), 1000, producer.fetch);
      assert.equal(whole, expected);
    }
  });

  test('memories in lists, and in lists that were memories themselves, are fetched too', async () => {
    const producer = new Producer();
    const inner = [producer.memory(textValue(''), Buffer.from('b')), numberValue(1)];
    const content = ValueList.encode({ values: inner }).finish();
    const value = listValue([
      textValue('a'),
      listValue([producer.memory(listValue([]), content)]),
      producer.memory(textValue(''), Buffer.from('c')),
    ]);
    assert.equal(
      await materialize(value, 1000, producer.fetch),
      listValue([
        textValue('a'),
        listValue([listValue([textValue('b'), numberValue(1)])]),
        textValue('c'),
      ]),
    );
  });

  test('a value without memories comes back as it is, whatever its size', async () => {
    const producer = new Producer();
    for (const value of [textValue('long'), listValue([textValue('long')])])
      assert.is(await materialize(value, 1, producer.fetch), value);
  });

  test('what is too large is refused before anything is fetched', async () => {
    const producer = new Producer();
    const one = producer.memory(textValue(''), Buffer.from('12345'));
    await materialize(listValue([one, one]), 10, producer.fetch);
    producer.fetched = 0;
    const error = await rejects(
      materialize(listValue([one, one, textValue('x')]), 10, producer.fetch),
      FractoryError,
      { code: status.RESOURCE_EXHAUSTED },
    );
    assert.is(error.metadata['limit'], 'max_pulled_bytes');
    assert.is(producer.fetched, 0);
  });

  test('a list that contains itself ends', async () => {
    const producer = new Producer();
    const itself: Memory = {
      ...{ capability: undefined, form: listValue([]), sha256: none, sizeBytes: 1n },
    };
    const content = ValueList.encode({
      values: [{ kind: { $case: 'memory', value: itself } }],
    }).finish();
    await rejects(
      materialize({ kind: { $case: 'memory', value: itself } }, 1000, () =>
        Promise.resolve(content),
      ),
      FractoryError,
      { code: status.RESOURCE_EXHAUSTED },
    );
    assert.is(producer.fetched, 0);
  });

  test('bytes that are no such value are DATA_LOSS, and never anything else', () => {
    const failure = failureValue({
      ...{ code: 1, reason: '', message: '', step: '', member: '', metadata: {}, retryAfterMs: 0 },
    });
    const damaged = { code: status.DATA_LOSS, reason: 'CONTENT_DAMAGED' } as const;
    for (const form of [failure, numberValue(1), {} as Value, undefined])
      throws(() => assemble(form, none), FractoryError, damaged);
    throws(() => assemble(textValue(''), Buffer.from([255])), FractoryError, damaged);
    for (const text of ['', '-', '1.5', '0x1', '1 '])
      throws(() => assemble(integerValue(0n), Buffer.from(text)), FractoryError, damaged);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        try {
          assemble(listValue([]), bytes);
        } catch (error) {
          assert.is((error as FractoryError).reason, 'CONTENT_DAMAGED');
        }
      }),
    );
  });
});
