import { silentLogger } from '../../../../runtime/logger.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { createExecutor } from '../../../../services/cnn/execution/executor.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';
import { joinBytes } from '../../../../services/cnn/tensors/data.js';
import { toOrt } from '../../../../services/cnn/tensors/ort.js';
import { DATATYPES } from '../../../../services/cnn/tensors/tensor.js';
import type { Datatype } from '../../../../services/cnn/tensors/tensor.js';
import { assert, rejects, suite, throws } from '../../../suite.js';
import { installed, passing } from '../small-models.js';
import { temporaryFolder } from '../fixture.js';

/** Two rows of three elements. */
const DATA: Readonly<Record<Datatype, Uint8Array>> = {
  BOOL: Uint8Array.of(0, 1, 1, 0, 0, 1),
  UINT8: Uint8Array.of(0, 1, 127, 128, 254, 255),
  INT8: Uint8Array.of(0, 1, 127, 128, 254, 255),
  UINT16: bytes(Uint16Array.of(0, 1, 2, 65_535, 256, 7)),
  INT16: bytes(Int16Array.of(0, -1, 2, -32_768, 256, 7)),
  UINT32: bytes(Uint32Array.of(0, 1, 2, 4_294_967_295, 256, 7)),
  INT32: bytes(Int32Array.of(0, -1, 2, -2_147_483_648, 256, 7)),
  UINT64: bytes(BigUint64Array.of(0n, 1n, 2n, 2n ** 64n - 1n, 256n, 7n)),
  INT64: bytes(BigInt64Array.of(0n, -1n, 2n, -(2n ** 63n), 256n, 7n)),
  // 0, 1, -2, infinity, NaN, the smallest.
  FP16: bytes(Uint16Array.of(0, 0x3c00, 0xc000, 0x7c00, 0x7e00, 1)),
  BF16: bytes(Uint16Array.of(0, 0x3f80, 0xc000, 0x7f80, 0x7fc0, 1)),
  FP32: bytes(Float32Array.of(0, 1.5, -2, Infinity, NaN, 1e-40)),
  FP64: bytes(Float64Array.of(0, 1.5, -2, Infinity, NaN, 5e-324)),
  BYTES: joinBytes(['', 'a', 'é', '猫', 'a b', 'z'].map((text) => new TextEncoder().encode(text))),
};

function bytes(array: { readonly buffer: ArrayBuffer }): Uint8Array {
  return new Uint8Array(array.buffer);
}

/** The same bytes where nothing is aligned. */
function shifted(data: Uint8Array): Uint8Array {
  const moved = new Uint8Array(data.length + 3).subarray(3);
  moved.set(data);
  return moved;
}

suite('tensors through the runtime', (test) => {
  for (const datatype of DATATYPES.filter((one) => one !== 'BF16'))
    test(`${datatype} goes through a model bit by bit, however it is aligned`, async () => {
      await using folder = await temporaryFolder();
      await using executor = createExecutor({
        limits: { ...DEFAULT_CNN_LIMITS, workers: 1, tune: 'off' },
        log: silentLogger(),
      });
      const model = await executor.load(await installed(folder.path, passing(datatype, [-1, 3])));
      const input = { name: 'x', datatype, shape: [2, 3], data: DATA[datatype] };
      for (const data of [input.data, shifted(input.data)]) {
        const { outputs } = await model.run({
          ...{ kind: 'tensors', inputs: [{ ...input, data }], outputs: ['y'] },
          deadlineMs: Infinity,
        });
        const [y] = outputs;
        assert.equal([y?.datatype, y?.shape], [datatype, [2, 3]]);
        assert.equal([...(y?.data ?? [])], [...input.data]);
      }
    });

  test('BF16 can not be handed over, and the error says what to do', async () => {
    const tensor = { name: 'x', datatype: 'BF16', shape: [2, 3], data: DATA.BF16 } as const;
    const error = throws(() => toOrt(tensor), FractoryError, { reason: 'BAD_TENSOR' });
    assert.match(error.message, /^x: BF16 .* FP32$/);
    await using folder = await temporaryFolder();
    await using executor = createExecutor({
      limits: { ...DEFAULT_CNN_LIMITS, workers: 1, tune: 'off' },
      log: silentLogger(),
    });
    await rejects(
      executor.load(await installed(folder.path, passing('BF16', [-1, 3]))),
      FractoryError,
      { reason: 'MODEL_CORRUPT' },
    );
  });

  test('BYTES that are no text are refused', () => {
    for (const element of [Uint8Array.of(0xff, 0xfe), Uint8Array.of(97, 0, 97)]) {
      const data = joinBytes([element]);
      throws(() => toOrt({ name: 'x', datatype: 'BYTES', shape: [1], data }), FractoryError, {
        reason: 'BAD_TENSOR',
      });
    }
  });
});
