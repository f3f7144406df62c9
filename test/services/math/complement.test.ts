import fc from 'fast-check';

import { bytesValue } from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { InvocationContext } from '../../../services/adaptor.js';
import { complementOf, complementOperation } from '../../../services/math/complement.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import { assert, rejects, suite, throws } from '../../suite.js';

const limits = { ...DEFAULT_MATH_LIMITS, max_content_bytes: 1000 };

function perform(input: Value, chunks: readonly Uint8Array[] = []): Value | Promise<Value> {
  // eslint-disable-next-line @typescript-eslint/require-await -- one shape with the kernel's stream
  const stream = async function* () {
    yield* chunks;
  };
  const context = { stream } as unknown as InvocationContext;
  return complementOperation(limits).perform(new Map([['input', input]]), context) as Value;
}

function memory(sizeBytes: number): Value {
  const form = bytesValue('image/bmp', new Uint8Array());
  const value = {
    capability: undefined,
    sizeBytes: BigInt(sizeBytes),
    form,
    sha256: new Uint8Array(),
  };
  return { kind: { $case: 'memory', value } };
}

suite('complement', (test) => {
  test('is 255 - b for each byte, at any length and offset; twice is nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(7), (data, offset) => {
        const part = data.subarray(Math.min(offset, data.length));
        assert.equal(
          [...complementOf(part)],
          [...part].map((byte) => 255 - byte),
        );
        assert.equal([...complementOf(complementOf(part))], [...part]);
      }),
    );
  });

  test('what comes along is answered at once, with its media type', () => {
    const result = perform(bytesValue('image/bmp', Uint8Array.of(0, 1, 255)));
    assert.equal(result, bytesValue('image/bmp', Uint8Array.of(255, 254, 0)));
  });

  test('a memory is complemented as it arrives', async () => {
    const data = Uint8Array.from({ length: 40 }, (_, index) => index);
    for (const cut of [0, 1, 2, 3, 5, 20, 39, 40]) {
      const result = await perform(memory(40), [data.subarray(0, cut), data.subarray(cut)]);
      assert.equal(result, bytesValue('image/bmp', Buffer.from(data.map((byte) => 255 - byte))));
    }
  });

  test('content past the limit, or longer than it claims, is refused', async () => {
    throws(() => perform(bytesValue('', new Uint8Array(1001))), FractoryError, {
      reason: 'LIMIT_EXCEEDED',
    });
    throws(() => perform(memory(1001)), FractoryError, { reason: 'LIMIT_EXCEEDED' });
    await rejects(Promise.resolve(perform(memory(1), [new Uint8Array(2)])), FractoryError, {
      reason: 'INVALID_ARGUMENT',
    });
  });
});
