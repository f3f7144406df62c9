import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { ModelProto, TensorProto_DataType as Type } from '../../../../protos/gen/onnx/onnx.js';
import { appendOutput, findEmbedding } from '../../../../services/cnn/onnx/embedding-output.js';
import { readOnnxHead } from '../../../../services/cnn/onnx/signature.js';
import type { OnnxHead } from '../../../../services/cnn/onnx/signature.js';
import { assert, suite } from '../../../suite.js';
import { shippedModels, temporaryFolder } from '../fixture.js';
import { averagingModel } from '../onnx-model.js';
import { node, picturesClassifier, valueInfo, weights } from './small-networks.js';

async function headOf(bytes: Uint8Array): Promise<OnnxHead | { problem: string }> {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'model.onnx');
  await writeFile(file, bytes);
  return await readOnnxHead(file);
}

async function soundHead(bytes: Uint8Array): Promise<OnnxHead> {
  const head = await headOf(bytes);
  if ('problem' in head) throw new Error(head.problem);
  return head;
}

async function problemOf(bytes: Uint8Array): Promise<string> {
  const head = await headOf(bytes);
  return 'problem' in head ? head.problem : 'none';
}

suite('the head of an ONNX file', (test) => {
  test('tells inputs, outputs, operators and who wrote it, as its runtime does', async () => {
    for (const name of ['cats-vs-dogs', 'shapes']) {
      const file = path.join(shippedModels, name, '1', 'model.onnx');
      const head = await readOnnxHead(file);
      if ('problem' in head) throw new Error(head.problem);
      const session = await InferenceSession.create(file);
      assert.equal(
        head.signature.inputs.map((one) => one.name),
        [...session.inputNames],
      );
      assert.equal(
        head.signature.outputs.map((one) => one.name),
        [...session.outputNames],
      );
      assert.ok(head.signature.opset >= 7);
      await session.release();
    }
  });

  test('leaves out weights that are listed among the inputs', async () => {
    const { signature, weights: names } = await soundHead(
      ModelProto.encode(
        ModelProto.fromPartial({
          producerName: 'someone',
          producerVersion: '1.0',
          opsetImport: [{ version: 9n }, { domain: 'ai.onnx.ml', version: 2n }],
          graph: {
            node: [node('Mul', ['x', 'w'], ['y'])],
            initializer: [weights('w', [3], 1)],
            input: [valueInfo('x', Type.INT64, [-1, 'side', 3]), valueInfo('w', Type.FLOAT, [3])],
            output: [
              { name: 'y', type: { value: { $case: 'tensorType', value: { elemType: 1 } } } },
            ],
          },
        }),
      ).finish(),
    );
    assert.equal(signature, {
      inputs: [{ name: 'x', datatype: 'INT64', shape: [-1, -1, 3] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [], anyRank: true }],
      producer: 'someone 1.0',
      opset: 9,
    });
    assert.equal([...names], ['w']);
  });

  test('what is no whole ONNX file is told in one line', async () => {
    const whole = averagingModel('NCHW', 3);
    assert.is(await problemOf(new Uint8Array()), 'model.onnx has no bytes');
    assert.match(await problemOf(Buffer.from('this is no model')), /no whole ONNX file/);
    for (let length = 1; length < whole.length; length += 3)
      assert.match(
        await problemOf(whole.subarray(0, length)),
        /^model.onnx is no whole ONNX file: /,
      );
    assert.match(await problemOf(Buffer.alloc(4000)), /no protobuf message/);
    assert.match(await problemOf(Buffer.alloc(4000, 0xff)), /no protobuf message/);
  });

  test('weights in other files and outputs that are no tensors are told', async () => {
    const external = ModelProto.fromPartial({
      opsetImport: [{ version: 13n }],
      graph: {
        initializer: [{ name: 'w', dims: [3n], dataType: 1, dataLocation: 1 }],
        output: [valueInfo('y', Type.FLOAT, [1])],
      },
    });
    assert.match(await problemOf(ModelProto.encode(external).finish()), /\(external data\)/);
    const map = ModelProto.fromPartial({
      opsetImport: [{ version: 13n }],
      graph: { output: [{ name: 'y', type: {} }, valueInfo('z', Type.FLOAT, [1])] },
    });
    assert.match(await problemOf(ModelProto.encode(map).finish()), /y of model.onnx is no tensor/);
  });

  test('a file of 1.9 GB costs its graph only', async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, 'model.onnx');
    // The last field of the model: a long text of zeros that was never written.
    const size = 1_900_000_000;
    const length = [];
    for (let rest = size; rest > 0; rest = Math.floor(rest / 128))
      length.push((rest % 128) + (rest > 127 ? 128 : 0));
    const head = Buffer.concat([averagingModel('NCHW', 3), Buffer.from([0x32, ...length])]);
    await writeFile(file, head);
    await truncate(file, head.length + size);
    const before = process.memoryUsage().rss;
    const read = await readOnnxHead(file);
    assert.not('problem' in read);
    assert.ok(process.memoryUsage().rss - before < 50_000_000);
  });
});

suite('the embedding of a picture', (test) => {
  test('is the input of the last layer with weights, whatever follows it', async () => {
    for (const [last, expected] of [
      ['Gemm', 'flat'],
      ['MatMul', 'flat'],
      ['Conv', 'features'],
    ] as const) {
      const head = await soundHead(picturesClassifier({ last }));
      assert.is(findEmbedding(head, 'probabilities'), expected);
    }
  });

  test('there is none where no layer has weights, or the only one sees the picture', async () => {
    const averages = await soundHead(averagingModel('NCHW', 3));
    assert.is(findEmbedding(averages, 'averages'), undefined);
    const single = ModelProto.fromPartial({
      opsetImport: [{ version: 13n }],
      graph: {
        node: [node('MatMul', ['x', 'w'], ['y'])],
        initializer: [weights('w', [3, 2], 1)],
        input: [valueInfo('x', Type.FLOAT, [1, 3])],
        output: [valueInfo('y', Type.FLOAT, [1, 2])],
      },
    });
    assert.is(findEmbedding(await soundHead(ModelProto.encode(single).finish()), 'y'), undefined);
  });

  test('an inner tensor becomes an output of the file, and the rest of the file stays', async () => {
    const bytes = picturesClassifier({ last: 'Gemm' });
    const longer = appendOutput(bytes, 'flat');
    assert.equal(longer.subarray(0, bytes.length), bytes);
    const [before, after] = await Promise.all(
      [bytes, longer].map((model) => InferenceSession.create(model, { logSeverityLevel: 3 })),
    );
    assert.equal([...after!.outputNames], ['probabilities', 'flat']);
    const data = Float32Array.from({ length: 3 * 32 * 32 }, (_, index) => Math.sin(index));
    const feeds = { data: new Tensor('float32', data, [1, 3, 32, 32]) };
    const [short, long] = [await before!.run(feeds), await after!.run(feeds)];
    assert.equal(long['probabilities']!.data, short['probabilities']!.data);
    assert.equal(long['flat']!.dims, [1, 8]);
    await Promise.all([before!.release(), after!.release()]);
  });
});
