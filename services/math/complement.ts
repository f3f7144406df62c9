import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import { bytesValue } from '../../protos/values.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { InvocationContext, Operation } from '../adaptor.js';
import type { MathLimits } from './limits.js';
import { argument } from './operands.js';

/**
 * The complement of each byte, done chunk by chunk as the content arrives, so that neither computing nor waiting keeps the event loop: a chunk of
 * 256 KiB takes some 50 us.
 */
export function complementOperation({ max_content_bytes: most }: MathLimits): Operation {
  return {
    spec: {
      name: 'math.complement',
      summary: '255 - b for each byte b: the negative of a picture without compression',
      arguments: [{ ...argument('input', 'any content', { kinds: ['bytes'] }), streamed: true }],
      output: ['bytes'],
      idempotent: true,
    },
    perform(args, context) {
      const input = args.get('input');
      const kind = input?.kind;
      if (kind?.$case === 'bytes') {
        checkSize(kind.value.data.length, most);
        return bytesValue(kind.value.mediaType, complementOf(kind.value.data));
      }
      if (input && kind?.$case === 'memory') {
        const form = kind.value.form?.kind;
        const mediaType = form?.$case === 'bytes' ? form.value.mediaType : '';
        checkSize(Number(kind.value.sizeBytes), most);
        return complementOfStream(input, Number(kind.value.sizeBytes), mediaType, context);
      }
      throw invalidArgument('input', 'is not bytes');
    },
  };
}

async function complementOfStream(
  input: Value,
  sizeBytes: number,
  mediaType: string,
  context: InvocationContext,
): Promise<Value> {
  const result = Buffer.allocUnsafe(sizeBytes);
  let filled = 0;
  for await (const chunk of context.stream(input)) {
    if (filled + chunk.length > sizeBytes)
      throw invalidArgument('input', `is longer than the ${String(sizeBytes)} bytes it claims`);
    result.set(chunk, filled);
    complementInPlace(result.subarray(filled, filled + chunk.length));
    filled += chunk.length;
  }
  return bytesValue(mediaType, result.subarray(0, filled));
}

/** A new array with 255 - b for each byte b. */
export function complementOf(data: Uint8Array): Uint8Array {
  const result = Uint8Array.from(data);
  complementInPlace(result);
  return result;
}

/** Four bytes at a time, but for those before and after the whole words. */
function complementInPlace(data: Uint8Array): void {
  const head = Math.min(data.length, (4 - (data.byteOffset % 4)) % 4);
  const count = (data.length - head) >> 2;
  const words = new Uint32Array(data.buffer, data.byteOffset + head, count);
  for (let index = 0; index < count; index++) words[index] = ~(words[index] ?? 0);
  const tail = head + count * 4;
  for (let index = 0; index < head; index++) data[index] = ~(data[index] ?? 0);
  for (let index = tail; index < data.length; index++) data[index] = ~(data[index] ?? 0);
}

function checkSize(sizeBytes: number, most: number): void {
  if (sizeBytes > most)
    throw limitExceeded('max_content_bytes', sizeBytes, most, { what: 'the content' });
}
