import type { Blob, Failure, Tensor, Value } from './gen/fractory/v1/value.js';

/** The kinds of value, as operations name them. A memory is of the kind that its content has. */
export type ValueKind = Exclude<NonNullable<Value['kind']>['$case'], 'memory'>;

export const bytesValue = (mediaType: string, data: Uint8Array): Value => ({
  kind: { $case: 'bytes', value: { mediaType, data } },
});
export const textValue = (text: string): Value => ({ kind: { $case: 'text', value: text } });
/** An exact integer; a string must be canonical decimal text. */
export const integerValue = (integer: bigint | string): Value => ({
  kind: { $case: 'integer', value: String(integer) },
});
export const numberValue = (number: number): Value => ({
  kind: { $case: 'number', value: number },
});
export const tensorValue = (tensor: Tensor): Value => ({
  kind: { $case: 'tensor', value: tensor },
});
export const listValue = (values: Value[]): Value => ({
  kind: { $case: 'list', value: { values } },
});
export const failureValue = (failure: Failure): Value => ({
  kind: { $case: 'failure', value: failure },
});
/** Structured data: JSON text as bytes. */
export const jsonValue = (data: unknown): Value =>
  bytesValue(JSON_MEDIA_TYPE, Buffer.from(JSON.stringify(data)));

export const JSON_MEDIA_TYPE = 'application/json';

/** Kind of a value, or undefined where it has none that we know. */
export function kindOf(value: Value | undefined): ValueKind | undefined {
  const kind = value?.kind;
  if (kind?.$case !== 'memory') return kind?.$case;
  const form = kind.value.form?.kind?.$case;
  return form === 'memory' ? undefined : form;
}

/** Payload bytes of a value that travel with it: what limits and receipts count. Those of a memory stay where they are. */
export function sizeOf(value: Value | undefined): number {
  const kind = value?.kind;
  switch (kind?.$case) {
    case 'bytes':
    case 'tensor':
      return kind.value.data.length;
    case 'text':
    case 'integer':
      return Buffer.byteLength(kind.value);
    case 'number':
      return 8;
    case 'list':
      return kind.value.values.reduce((sum, one) => sum + sizeOf(one), 0);
    case 'failure':
      return kind.value.message.length;
    case 'memory':
    case undefined:
      return 0;
  }
}

/** Bytes of the content of a value, wherever they are kept: what receipts count. */
export function contentBytesOf(value: Value | undefined): number {
  const kind = value?.kind;
  if (kind?.$case === 'memory') return Number(kind.value.sizeBytes);
  if (kind?.$case !== 'list') return sizeOf(value);
  return kind.value.values.reduce((sum, one) => sum + contentBytesOf(one), 0);
}

/** The bytes of a value as they would be written to a file, with their media type. */
export function toBlob(value: Value): Blob {
  const kind = value.kind;
  switch (kind?.$case) {
    case 'bytes':
      return kind.value;
    case 'text':
    case 'integer':
      return { mediaType: 'text/plain', data: Buffer.from(kind.value) };
    case 'number':
      return { mediaType: 'text/plain', data: Buffer.from(String(kind.value)) };
    default:
      return { mediaType: JSON_MEDIA_TYPE, data: Buffer.from(JSON.stringify(toWhole(value))) };
  }
}

/** Like `toPlain`, with nothing left out: bytes and tensors carry their data in base64. */
function toWhole(value: Value): unknown {
  const kind = value.kind;
  switch (kind?.$case) {
    case 'list':
      return kind.value.values.map(toWhole);
    case 'bytes':
      return (
        parsedJson(kind.value) ?? {
          mediaType: kind.value.mediaType,
          data: base64(kind.value.data),
        }
      );
    case 'tensor':
      return {
        datatype: kind.value.datatype,
        shape: kind.value.shape.map(Number),
        data: base64(kind.value.data),
      };
    default:
      return toPlain(value);
  }
}

/** What JSON bytes encode; undefined for other bytes, and for those that only claim to be JSON. */
function parsedJson({ mediaType, data }: Blob): unknown {
  if (mediaType !== JSON_MEDIA_TYPE) return undefined;
  try {
    return JSON.parse(Buffer.from(data).toString()) as unknown;
  } catch {
    return undefined;
  }
}

function base64(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
}

/** A value as plain data for JSON output: integers stay decimal text, JSON bytes become what they encode. */
export function toPlain(value: Value | undefined): unknown {
  const kind = value?.kind;
  switch (kind?.$case) {
    case 'bytes':
      return (
        parsedJson(kind.value) ?? {
          mediaType: kind.value.mediaType,
          bytes: kind.value.data.length,
        }
      );
    case 'list':
      return kind.value.values.map(toPlain);
    case 'tensor':
      return {
        datatype: kind.value.datatype,
        shape: kind.value.shape.map(Number),
        bytes: kind.value.data.length,
      };
    case 'memory':
      return { memory: kind.value.capability?.owner ?? '', bytes: Number(kind.value.sizeBytes) };
    case 'text':
    case 'integer':
    case 'number':
    case 'failure':
      return kind.value;
    case undefined:
      return null;
  }
}
