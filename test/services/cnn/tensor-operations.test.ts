import { status } from '@grpc/grpc-js';

import type { Tensor, Value } from '../../../protos/gen/fractory/v1/value.js';
import { numbersOf, tensorOf } from '../../../protos/tensors.js';
import {
  bytesValue,
  integerValue,
  listValue,
  numberValue,
  tensorValue,
  textValue,
} from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { Operation } from '../../../services/adaptor.js';
import { embedOperation } from '../../../services/cnn/embed-operation.js';
import type { EmbeddingModels } from '../../../services/cnn/embed-operation.js';
import { inferOperation } from '../../../services/cnn/tensor-operations.js';
import type { TensorModels } from '../../../services/cnn/tensor-operations.js';
import type { TensorSpec } from '../../../services/cnn/tensors/tensor.js';
import { assert, rejects, suite } from '../../suite.js';
import { performed } from '../performed.js';

type Asked = Parameters<TensorModels['infer']>[0];

/** A model with two inputs whose outputs are what is asked for, or both inputs. */
class TwoInputs implements TensorModels {
  readonly asked: Asked[] = [];

  describe(): ReturnType<TensorModels['describe']> {
    const spec = (name: string): TensorSpec => ({ name, datatype: 'FP32', shape: [-1] });
    const signature = { inputs: [spec('left'), spec('right')], outputs: [spec('sum')] };
    return Promise.resolve({ signature: { ...signature, producer: '', opset: 17 } });
  }

  infer(request: Asked): ReturnType<TensorModels['infer']> {
    this.asked.push(request);
    const [first] = request.inputs;
    const outputs =
      request.outputs.length === 0 || !first
        ? request.inputs
        : request.outputs.map((name) => ({ ...first, name }));
    return Promise.resolve({ outputs });
  }
}

const one = tensorValue(tensorOf('FP32', [2], [1, 2]));
const two = tensorValue(tensorOf('FP32', [1], [3]));
const both = { input: listValue([one, two]), model: textValue('two-inputs') };

async function perform(operation: Operation, args: Record<string, Value>): Promise<Value> {
  return (await performed([operation], operation.spec.name, args, 1000)) as Value;
}

suite('cnn.infer', (test) => {
  test('hands tensors on in the order of the inputs', async () => {
    const models = new TwoInputs();
    const before = Date.now();
    const args = { ...both, version: integerValue(4n) };
    assert.equal(await perform(inferOperation(models), args), listValue([one, two]));
    const [asked] = models.asked;
    assert.equal([asked?.model, asked?.version, asked?.outputs], ['two-inputs', 4, []]);
    assert.equal(
      asked?.inputs.map(({ name, datatype, shape }) => [name, datatype, shape]),
      [
        ['left', 'FP32', [2]],
        ['right', 'FP32', [1]],
      ],
    );
    const left = (asked?.deadlineMs ?? 0) - before;
    assert.ok(left >= 1000 && left < 2000, String(left));
  });

  test('hands tensors on by name', async () => {
    const models = new TwoInputs();
    const names = listValue([textValue('right'), textValue('left')]);
    await perform(inferOperation(models), { ...both, inputs: names });
    const single = { input: one, model: textValue('m'), inputs: textValue('x') };
    await perform(inferOperation(models), single);
    assert.equal(
      models.asked.map(({ inputs, version }) => [version, ...inputs.map(({ name }) => name)]),
      [
        [0, 'right', 'left'],
        [0, 'x'],
      ],
    );
  });

  test('yields one output as a tensor, several as a list; a list where one was asked for', async () => {
    const single = { input: one, model: textValue('m'), inputs: textValue('x') };
    const infer = inferOperation(new TwoInputs());
    const rows: readonly (readonly [Record<string, Value>, Value])[] = [
      [single, one],
      [{ ...single, outputs: textValue('y') }, one],
      [{ ...single, outputs: listValue([textValue('y')]) }, listValue([one])],
      [{ ...single, outputs: listValue(['y', 'z'].map(textValue)) }, listValue([one, one])],
    ];
    for (const [args, result] of rows) assert.equal(await perform(infer, args), result);
  });

  const tensor = (changes: Partial<Tensor>): Value =>
    tensorValue({ ...tensorOf('FP32', [1], [1]), ...changes });
  const rows: readonly (readonly [string, Record<string, Value>, RegExp])[] = [
    ['too few tensors', { input: one }, /expected 2 tensors, for left, right; found 1/],
    ['what is no tensor', { input: listValue([one, numberValue(1)]) }, /input right: is not a/],
    ['an unknown datatype', { input: listValue([one, tensor({ datatype: 'F' })]) }, /"F" is no/],
    ['a negative shape', { input: listValue([one, tensor({ shape: [-1n] })]) }, /size -1/],
    ['too few bytes', { input: listValue([one, tensor({ shape: [2n] })]) }, /8 bytes, found 4/],
    ['names that are none', { inputs: listValue([numberValue(1)]) }, /inputs\[0\]: is not a name/],
    ['a bad name of a model', { model: textValue('../m') }, /is not a name/],
  ];
  for (const [what, changes, message] of rows)
    test(`refuses ${what}`, async () => {
      const work = perform(inferOperation(new TwoInputs()), { ...both, ...changes });
      const error = await rejects(work, FractoryError, { code: status.INVALID_ARGUMENT });
      assert.match(error.message, message);
    });
});

suite('cnn.embed', (test) => {
  test('yields a vector of what the model makes of the picture', async () => {
    const asked: unknown[] = [];
    const models: EmbeddingModels = {
      embed: (picture, { model, version }) => {
        asked.push([picture, model, version]);
        // A part of a larger buffer, as workers send it.
        return Promise.resolve({ values: Float32Array.of(0, 0.5, -1).subarray(1) });
      },
    };
    const bytes = Buffer.from('picture');
    const embed = embedOperation(models, () => bytes);
    const args = { input: bytesValue('image/png', bytes) };
    const result = (await perform(embed, args)).kind;
    assert.is(result?.$case, 'tensor');
    const vector = result?.$case === 'tensor' ? result.value : undefined;
    assert.equal([vector?.datatype, vector?.shape], ['FP32', [2n]]);
    assert.equal(Array.from(numbersOf(vector!)), [0.5, -1]);
    await perform(embed, { ...args, model: textValue('cats'), version: integerValue(2n) });
    const picture = { kind: 'encoded', bytes };
    assert.equal(asked, [
      [picture, '', 0],
      [picture, 'cats', 2],
    ]);
  });
});
