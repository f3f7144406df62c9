import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import {
  AttributeProto_AttributeType as Kind,
  type GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  TensorProto_DataLocation as Location,
  TensorProto_DataType as Type,
} from '../../../../protos/gen/onnx/onnx.js';
import type { DeepPartial } from '../../../../protos/gen/onnx/onnx.js';
import { readOnnxHead } from '../../../../services/cnn/onnx/signature.js';
import { assert, suite } from '../../../suite.js';
import { temporaryFolder } from '../fixture.js';
import { valueInfo } from './small-networks.js';

/** A tensor that is bytes of a file of this machine. */
const stolen = {
  ...{ name: 'w', dims: [16n], dataType: Type.UINT8 },
  ...{ dataLocation: Location.EXTERNAL, externalData: [{ key: 'location', value: 'secret' }] },
};
const output = valueInfo('y', Type.UINT8, [16]);
const inner = {
  ...{ name: 'inner', initializer: [stolen], output: [output] },
  node: [{ opType: 'Identity', input: ['w'], output: ['y'] }],
};
const constant = {
  ...{ opType: 'Constant', output: ['y'] },
  attribute: [{ name: 'value', type: Kind.TENSOR, t: stolen }],
};
const choice = (graph: DeepPartial<GraphProto>) => ({
  ...{ opType: 'If', input: ['x'], output: ['y'] },
  attribute: [{ name: 'then_branch', type: Kind.GRAPH, g: graph }],
});

const tensor = TensorProto.encode(TensorProto.fromPartial(stolen)).finish();
const constantNode = NodeProto.encode(NodeProto.fromPartial(constant)).finish();

/** A field of a message that the product doesn't write: its tag, a length of two bytes, its content. */
function field(number: number, content: Uint8Array): Uint8Array {
  const tag = number * 8 + 2;
  const head = tag < 0x80 ? [tag] : [(tag & 0x7f) | 0x80, tag >> 7];
  return Buffer.concat([
    Buffer.from([...head, (content.length & 0x7f) | 0x80, content.length >> 7]),
    content,
  ]);
}

function withField(model: Uint8Array, number: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([model, field(number, content)]);
}

function modelOf(graph: DeepPartial<GraphProto>): Uint8Array {
  const input = [valueInfo('x', Type.BOOL, [1])];
  const message: DeepPartial<ModelProto> = {
    ...{ irVersion: 8n, opsetImport: [{ domain: '', version: 17n }] },
    ...{ graph: { name: 'g', input, output: [output], ...graph } },
  };
  return ModelProto.encode(ModelProto.fromPartial(message)).finish();
}

async function problemOf(bytes: Uint8Array): Promise<string> {
  await using folder = await temporaryFolder();
  const file = path.join(folder.path, 'model.onnx');
  await writeFile(file, bytes);
  const head = await readOnnxHead(file);
  return 'problem' in head ? head.problem : 'none';
}

suite('an ONNX file that names other files of the machine', (test) => {
  const places: readonly (readonly [string, Uint8Array])[] = [
    ['its weights', modelOf({ initializer: [stolen] })],
    ['its sparse weights', withField(modelOf({}), 7, field(15, field(1, tensor)))],
    ['a constant', modelOf({ node: [constant] })],
    ['a branch', modelOf({ node: [choice(inner)] })],
    ['a branch of a branch', modelOf({ node: [choice({ node: [choice({ node: [constant] })] })] })],
    ['a function', withField(modelOf({}), 25, field(7, constantNode))],
  ];
  for (const [place, bytes] of places)
    test(`as ${place} is refused`, async () => {
      assert.match(await problemOf(bytes), /keeps its weights in other files/);
    });

  test('is the only one that is: branches and constants of its own are fine', async () => {
    const own = { name: 'w', dims: [1n], dataType: Type.UINT8, rawData: Uint8Array.of(1) };
    const attribute = [{ name: 'value', type: Kind.TENSOR, t: own }];
    const node = [choice({ ...inner, initializer: [own] }), { ...constant, attribute }];
    assert.is(await problemOf(modelOf({ node })), 'none');
  });
});

suite('an ONNX file made to keep its reader busy', (test) => {
  test(
    'is given up after some million parts, and others have their turn meanwhile',
    async () => {
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      try {
        // Fields of two bytes.
        const problem = await problemOf(Buffer.alloc(2 * 5_000_000, Buffer.from([0x08, 0x01])));
        assert.match(problem, /has too many parts/);
      } finally {
        clearInterval(timer);
      }
      assert.ok(turns > 50, `${String(turns)} turns`);
    },
    { timeoutMs: 60_000 },
  );

  test('is refused where its graphs are too deep', async () => {
    let graph: DeepPartial<GraphProto> = { node: [constant] };
    for (let depth = 0; depth < 60; depth++) graph = { node: [choice(graph)] };
    assert.match(await problemOf(modelOf(graph)), /too deep/);
  });
});
