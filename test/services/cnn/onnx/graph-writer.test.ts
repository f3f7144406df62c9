import { InferenceSession, Tensor } from 'onnxruntime-node';

import { ModelProto, TensorProto_DataType } from '../../../../protos/gen/onnx/onnx.js';
import { FloatAttribute } from '../../../../services/cnn/onnx/attributes.js';
import { GraphWriter, OPSET } from '../../../../services/cnn/onnx/graph-writer.js';
import { assert, suite } from '../../../suite.js';

suite('graph writer', (test) => {
  test('a written model runs, with free dimensions and every kind of attribute', async () => {
    const writer = new GraphWriter();
    writer.input('x', ['rows', 2]);
    const leaky = writer.node('LeakyRelu', ['x'], { alpha: new FloatAttribute(0.5) });
    const turned = writer.transpose(leaky, [1, 0]);
    const flat = writer.reshape(turned, [-1]);
    const [first = ''] = writer.split(flat, 0, [1, 3]);
    const sum = writer.node('Add', [flat, first]);
    writer.output('y', writer.node('Mul', [sum, writer.scalar(10)]), ['count']);
    const session = await InferenceSession.create(writer.model({ name: 'test' }));
    const x = new Tensor('float32', [2, -4, 6, 8], [2, 2]);
    const { y } = await session.run({ x });
    await session.release();
    assert.equal([...((y?.data ?? []) as Float32Array)], [40, 80, 0, 100]);
  });

  test('what it writes says what it is: versions, domains, names, metadata', () => {
    const writer = new GraphWriter();
    writer.input('x', [1, 'n'], TensorProto_DataType.INT64);
    const node = writer.node('Own', ['x'], { label: 'a', list: ['b', 'c'] }, 'example.org');
    writer.output('y', node, [1]);
    const model = ModelProto.decode(writer.model({ name: 'g', metadata: { made: 'here' } }));
    const domains = model.opsetImport.map(({ domain, version }) => [domain, version]);
    assert.equal(domains, [
      ['', BigInt(OPSET)],
      ['example.org', 1n],
    ]);
    assert.equal(model.metadataProps, [{ key: 'made', value: 'here' }]);
    assert.is(model.graph?.input[0]?.name, 'x');
    assert.equal(
      model.graph?.node.map(({ opType, domain }) => [opType, domain]),
      [
        ['Own', 'example.org'],
        ['Identity', ''],
      ],
    );
  });

  test('an output that is called as its value needs no node', () => {
    const writer = new GraphWriter();
    writer.input('x', [1]);
    writer.node('Relu', ['x'], {}, '', 'y');
    writer.output('y', 'y', [1]);
    assert.is(ModelProto.decode(writer.model({ name: 'g' })).graph?.node.length, 1);
  });
});
