/** Datatypes as the Open Inference Protocol names them. */
export const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'BF16',
  'FP32',
  'FP64',
  'BYTES',
] as const;

export type Datatype = (typeof DATATYPES)[number];

/** What a model takes or yields, as its ONNX file says. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 = of any size. */
  readonly shape: readonly number[];
  /** The file tells nothing of the shape. */
  readonly anyRank?: true;
}

/** A dense tensor. */
export interface Tensor {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Little-endian, row-major. BYTES: each element after its length, 4 bytes, little-endian. */
  readonly data: Uint8Array;
}

/** A tensor as an input or output of a model. */
export interface NamedTensor extends Tensor {
  readonly name: string;
}
