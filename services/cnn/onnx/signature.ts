import { open } from 'node:fs/promises';

import { TensorProto_DataType as Type, ValueInfoProto } from '../../../protos/gen/onnx/onnx.js';
import { messageOf } from '../../../runtime/errors.js';
import type { ModelSignature } from '../serving.js';
import type { Datatype, TensorSpec } from '../tensors/tensor.js';
import { BadMessage, FileBytes } from './file-bytes.js';
import type { Field } from './file-bytes.js';

/** A protobuf message has at most 2^31 - 1 bytes. */
export const MAX_FILE_BYTES = 2 ** 31 - 1;
/** A description of a tensor that is longer is none. */
const MAX_DESCRIPTION_BYTES = 1024 ** 2;
const MAX_NODES = 1_000_000;

/** Numbers of fields in onnx.proto. */
const MODEL = { producer: 2, producerVersion: 3, graph: 7, opset: 8 } as const;
const OPSET = { domain: 1, version: 2 } as const;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, type: 4, attribute: 5 } as const;
const TENSOR = { name: 8, externalData: 13, location: 14 } as const;

type Parts = Readonly<Record<number, Part>>;
type Part = 'tensor' | 'sparse' | 'graph' | 'node' | 'attribute' | 'function';

/** Where else tensors of weights stand: by message, the fields that hold some, however deep. */
const INNER: Readonly<Record<Exclude<Part, 'tensor'>, Parts>> = {
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  function: { 7: 'node' },
};
const FUNCTIONS = 25;
const SPARSE_INITIALIZER = 15;
/** Graphs within graphs are as deep as the loops and choices of the model. */
const MAX_DEPTH = 100;

const DATATYPES: ReadonlyMap<number, Datatype> = new Map([
  [Type.FLOAT, 'FP32'],
  [Type.UINT8, 'UINT8'],
  [Type.INT8, 'INT8'],
  [Type.UINT16, 'UINT16'],
  [Type.INT16, 'INT16'],
  [Type.INT32, 'INT32'],
  [Type.INT64, 'INT64'],
  [Type.STRING, 'BYTES'],
  [Type.BOOL, 'BOOL'],
  [Type.FLOAT16, 'FP16'],
  [Type.DOUBLE, 'FP64'],
  [Type.UINT32, 'UINT32'],
  [Type.UINT64, 'UINT64'],
  [Type.BFLOAT16, 'BF16'],
]);

/** A node of the graph, without its attributes. */
export interface GraphNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** What an ONNX file says of itself, without its weights. */
export interface OnnxHead {
  readonly signature: ModelSignature;
  /** In the order in which they are computed. */
  readonly nodes: readonly GraphNode[];
  /** Names of the tensors of weights. */
  readonly weights: ReadonlySet<string>;
}

/** Why a file can't be served, in one line. */
export interface HeadProblem {
  readonly problem: string;
}

/**
 * Reads an ONNX file's head: its tensors of weights are skipped, so a file of 2 GB costs no more than its graph. A file that was cut off is a
 * problem, as is one whose weights stand in other files.
 */
export async function readOnnxHead(file: string): Promise<OnnxHead | HeadProblem> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (size === 0) return { problem: 'model.onnx has no bytes' };
    if (size > MAX_FILE_BYTES) return { problem: tooLongFile(size) };
    return await new HeadReader(new FileBytes(handle, size)).read();
  } catch (error) {
    if (error instanceof BadMessage)
      return { problem: `model.onnx is no whole ONNX file: ${messageOf(error)}` };
    throw error;
  } finally {
    await handle.close();
  }
}

export function tooLongFile(size: number): string {
  return `model.onnx has ${String(size)} bytes, an ONNX file ends at ${String(MAX_FILE_BYTES)}`;
}

class HeadReader {
  readonly #file: FileBytes;
  readonly #nodes: GraphNode[] = [];
  readonly #weights = new Set<string>();
  readonly #inputs: TensorSpec[] = [];
  readonly #outputs: TensorSpec[] = [];
  #producer = '';
  #producerVersion = '';
  #opset = 0;
  #graphs = 0;
  #problem: string | undefined;

  constructor(file: FileBytes) {
    this.#file = file;
  }

  async read(): Promise<OnnxHead | HeadProblem> {
    for await (const field of this.#file.fields(0, this.#file.size)) {
      if (field.number === MODEL.producer) this.#producer = await this.#file.text(field);
      else if (field.number === MODEL.producerVersion)
        this.#producerVersion = await this.#file.text(field);
      else if (field.number === MODEL.opset) await this.#readOpset(field);
      else if (field.number === MODEL.graph) await this.#readGraph(field);
      else if (field.number === FUNCTIONS) await this.#search(field, 'function');
    }
    if (this.#graphs === 0) throw new BadMessage('it has no graph');
    if (this.#opset === 0) throw new BadMessage('it names no version of the operators');
    if (this.#outputs.length === 0) throw new BadMessage('its graph has no output');
    if (this.#problem !== undefined) return { problem: this.#problem };
    return {
      signature: {
        // Old files list their weights among the inputs.
        inputs: this.#inputs.filter(({ name }) => !this.#weights.has(name)),
        outputs: this.#outputs,
        producer: `${this.#producer} ${this.#producerVersion}`.trim(),
        opset: this.#opset,
      },
      nodes: this.#nodes,
      weights: this.#weights,
    };
  }

  async #readOpset(message: Field): Promise<void> {
    let domain = '';
    let version = 0;
    for await (const field of this.#in(message)) {
      if (field.number === OPSET.domain) domain = await this.#file.text(field);
      else if (field.number === OPSET.version) version = field.value;
    }
    if (domain === '' || domain === 'ai.onnx') this.#opset = version;
    // Only operators of another domain: still a model.
    else if (this.#opset === 0) this.#opset = version;
  }

  async #readGraph(message: Field): Promise<void> {
    this.#graphs++;
    for await (const field of this.#in(message)) {
      if (field.number === GRAPH.node) this.#nodes.push(await this.#node(field));
      else if (field.number === GRAPH.initializer) await this.#readWeights(field);
      else if (field.number === SPARSE_INITIALIZER) await this.#search(field, 'sparse');
      else if (field.number === GRAPH.input) await this.#describe(field, this.#inputs);
      else if (field.number === GRAPH.output) await this.#describe(field, this.#outputs);
      if (this.#nodes.length > MAX_NODES) throw new BadMessage('its graph has too many nodes');
    }
  }

  async #node(message: Field): Promise<GraphNode> {
    let type = '';
    const inputs: string[] = [];
    const outputs: string[] = [];
    for await (const field of this.#in(message)) {
      if (field.number === NODE.type) type = await this.#file.text(field);
      else if (field.number === NODE.input) inputs.push(await this.#file.text(field));
      else if (field.number === NODE.output) outputs.push(await this.#file.text(field));
      else if (field.number === NODE.attribute) await this.#search(field, 'attribute');
    }
    return { type, inputs, outputs };
  }

  async #readWeights(message: Field): Promise<void> {
    for await (const field of this.#in(message)) {
      if (field.number === TENSOR.name) this.#weights.add(await this.#file.text(field));
      else this.#checkPlace(field);
    }
  }

  /** Constants and inner graphs: the runtime would open whatever files of this machine they name. */
  async #search(message: Field, part: Part, depth = 0): Promise<void> {
    if (depth > MAX_DEPTH) throw new BadMessage('its graphs are too deep');
    for await (const field of this.#in(message)) {
      if (part === 'tensor') {
        this.#checkPlace(field);
        continue;
      }
      const inner = INNER[part][field.number];
      if (inner !== undefined) await this.#search(field, inner, depth + 1);
    }
  }

  /** Of the field of a tensor. */
  #checkPlace({ number, value }: Field): void {
    if (number === TENSOR.externalData || (number === TENSOR.location && value === 1))
      this.#problem =
        'model.onnx keeps its weights in other files (external data): save the model as one file';
  }

  async #describe(message: Field, into: TensorSpec[]): Promise<void> {
    if (message.end - message.start > MAX_DESCRIPTION_BYTES)
      throw new BadMessage('the description of a tensor is too long');
    const spec = toSpec(await this.#file.read(message.start, message.end));
    if ('problem' in spec) this.#problem ??= spec.problem;
    else into.push(spec);
  }

  #in({ wireType, start, end }: Field): AsyncGenerator<Field, void, undefined> {
    if (wireType !== 2) throw new BadMessage('it is no protobuf message');
    return this.#file.fields(start, end);
  }
}

function toSpec(bytes: Uint8Array): TensorSpec | HeadProblem {
  const { name, type } = decoded(bytes);
  if (type?.value?.$case !== 'tensorType')
    return {
      problem: `${name} of model.onnx is no tensor: maps and sequences can't be served, export the model without them`,
    };
  const { elemType, shape } = type.value.value;
  const datatype = DATATYPES.get(elemType);
  if (datatype === undefined)
    return { problem: `${name} of model.onnx has the element type ${String(elemType)}` };
  if (!shape) return { name, datatype, shape: [], anyRank: true };
  const sizes = shape.dim.map(({ value }) =>
    value?.$case === 'dimValue' && value.value > 0n ? Number(value.value) : -1,
  );
  return { name, datatype, shape: sizes };
}

function decoded(bytes: Uint8Array): ValueInfoProto {
  try {
    return ValueInfoProto.decode(bytes);
  } catch (error) {
    throw new BadMessage(messageOf(error), { cause: error });
  }
}
