import { AttributeProto, AttributeProto_AttributeType } from '../../../protos/gen/onnx/onnx.js';

/** A number that ONNX keeps as a 32-bit float; plain numbers are integers to it. */
export class FloatAttribute {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

export type AttributeValue =
  number | string | readonly number[] | readonly string[] | FloatAttribute;

export type Attributes = Readonly<Record<string, AttributeValue>>;

const Type = AttributeProto_AttributeType;

export function attributesOf(attributes: Attributes): AttributeProto[] {
  return Object.entries(attributes).map(([name, value]) =>
    AttributeProto.fromPartial({ name, ...contentOf(value) }),
  );
}

function contentOf(value: AttributeValue): Partial<AttributeProto> {
  if (value instanceof FloatAttribute) return { f: value.value, type: Type.FLOAT };
  if (typeof value === 'number') return { i: BigInt(value), type: Type.INT };
  if (typeof value === 'string') return { s: Buffer.from(value), type: Type.STRING };
  if (isNumbers(value)) return { ints: value.map(BigInt), type: Type.INTS };
  return { strings: value.map((text) => Buffer.from(text)), type: Type.STRINGS };
}

function isNumbers(list: readonly number[] | readonly string[]): list is readonly number[] {
  return typeof list[0] !== 'string';
}
