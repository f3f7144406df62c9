import {
  ModelProto,
  NodeProto,
  type TensorProto,
  type TensorProto_DataType,
  type ValueInfoProto,
} from '../../../protos/gen/onnx/onnx.js';
import { attributesOf, type Attributes } from './attributes.js';
import { floats, integers } from './initializers.js';
import { valueInfo, type Dimension } from './value-infos.js';

/** Version of ONNX's own operators that the written models ask for. */
export const OPSET = 17;
/** Version of the file format; belongs to opset 17. */
const IR_VERSION = 8n;

/**
 * Collects nodes, constants, inputs and outputs of one graph, in the order in which they are computed. Values are named by strings;
 * every method that makes a value returns its name.
 */
export class GraphWriter {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #domains = new Set<string>();
  #named = 0;

  input(
    name: string,
    dimensions: readonly Dimension[],
    elementType?: TensorProto_DataType,
  ): string {
    this.#inputs.push(valueInfo(name, dimensions, elementType));
    return name;
  }

  /** Makes `value` an output of the graph; it is called `name` outside. */
  output(
    name: string,
    value: string,
    dimensions: readonly Dimension[],
    elementType?: TensorProto_DataType,
  ): void {
    if (value !== name) this.#add('Identity', [value], [name], {}, '');
    this.#outputs.push(valueInfo(name, dimensions, elementType));
  }

  /** A node with one output. `domain`: of the operator, where it isn't ONNX's own. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    domain = '',
    output = this.#newName(type),
  ): string {
    this.#add(type, inputs, [output], attributes, domain);
    return output;
  }

  /** Cuts `value` into pieces along an axis. */
  split(value: string, axis: number, lengths: readonly number[]): string[] {
    const outputs = lengths.map(() => this.#newName('Split'));
    this.#add('Split', [value, this.integers(lengths)], outputs, { axis }, '');
    return outputs;
  }

  /** A constant of floats. */
  floats(
    shape: readonly number[],
    values: ArrayLike<number>,
    name = this.#newName('floats'),
  ): string {
    this.#initializers.push(floats(name, shape, values));
    return name;
  }

  /** A constant list of integers. */
  integers(values: readonly number[]): string {
    const name = this.#newName('integers');
    this.#initializers.push(integers(name, [values.length], values));
    return name;
  }

  scalar(value: number): string {
    return this.floats([], [value]);
  }

  reshape(value: string, shape: readonly number[]): string {
    return this.node('Reshape', [value, this.integers(shape)]);
  }

  transpose(value: string, order: readonly number[]): string {
    return this.node('Transpose', [value], { perm: order });
  }

  /** The file. */
  model(about: { name: string; metadata?: Readonly<Record<string, string>> }): Uint8Array {
    const domains = [...this.#domains].filter((domain) => domain !== '');
    const metadata = Object.entries(about.metadata ?? {});
    return ModelProto.encode(
      ModelProto.fromPartial({
        irVersion: IR_VERSION,
        producerName: 'fractory',
        graph: {
          name: about.name,
          node: this.#nodes,
          initializer: this.#initializers,
          input: this.#inputs,
          output: this.#outputs,
        },
        opsetImport: [
          { domain: '', version: BigInt(OPSET) },
          ...domains.map((domain) => ({ domain, version: 1n })),
        ],
        metadataProps: metadata.map(([key, value]) => ({ key, value })),
      }),
    ).finish();
  }

  #add(
    opType: string,
    input: readonly string[],
    output: readonly string[],
    attributes: Attributes,
    domain: string,
  ): void {
    this.#domains.add(domain);
    const node = { name: output[0] ?? '', opType, input: [...input], output: [...output], domain };
    this.#nodes.push(NodeProto.fromPartial({ ...node, attribute: attributesOf(attributes) }));
  }

  #newName(kind: string): string {
    this.#named += 1;
    return `${kind}_${String(this.#named)}`;
  }
}
