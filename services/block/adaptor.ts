import { invalidArgument } from '../../runtime/errors.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { bytesValue, jsonValue } from '../../protos/values.js';
import type { Adaptor, ArgumentSpec, Arguments, Operation } from '../adaptor.js';
import { KeptResult } from '../content.js';
import type { Content, ContentRange, ReadContentOptions } from '../content.js';
import type { BlockContent } from './block-content.js';
import type { Extent } from './device.js';

/** What the operations need of the device: as it is, with those who hold memories of it told. */
export interface Blocks {
  allocate(sizeBytes: number, label?: string): Promise<Extent>;
  content(ids: readonly string[]): BlockContent;
  /** Memories over the extents are revoked before this resolves. */
  free(ids: readonly string[]): Promise<void>;
}

const MEDIA_TYPE = 'application/octet-stream';

const EXTENT: ArgumentSpec = {
  ...{ name: 'extent', summary: 'id of the extent, or what block.allocate yielded' },
  ...{ kinds: ['text', 'bytes'], required: true },
};
const wholeNumber = (name: string, summary: string, required = false): ArgumentSpec => ({
  ...{ name, summary, kinds: ['integer'], required },
});

/** The operations of a block device. */
export function blockAdaptor(blocks: Blocks): Adaptor {
  return {
    type: 'block',
    operations: [allocateOperation(blocks), readOperation(blocks), freeOperation(blocks)],
  };
}

function allocateOperation(blocks: Blocks): Operation {
  return {
    spec: {
      name: 'block.allocate',
      summary: 'Sets blocks aside, all of them zero, and yields their extent.',
      arguments: [wholeNumber('size', 'bytes', true)],
      output: ['bytes'],
      idempotent: false,
    },
    async perform(args, { step }) {
      const label = step ? `run ${step.run}, step ${step.step}` : '';
      const { id, sizeBytes } = await blocks.allocate(numberOf(args, 'size') ?? 0, label);
      return jsonValue({ extent: id, sizeBytes });
    },
  };
}

function readOperation(blocks: Blocks): Operation {
  return {
    spec: {
      name: 'block.read',
      summary: 'Yields what is in an extent.',
      arguments: [
        EXTENT,
        wholeNumber('offset', 'first byte; default 0'),
        wholeNumber('length', 'bytes; default all the rest'),
      ],
      output: ['bytes'],
      idempotent: true,
    },
    perform(args) {
      const content = blocks.content([extentOf(args)]);
      const offset = Math.min(numberOf(args, 'offset') ?? 0, content.sizeBytes);
      const rest = content.sizeBytes - offset;
      const length = Math.min(numberOf(args, 'length') ?? rest, rest);
      const form = bytesValue(MEDIA_TYPE, new Uint8Array());
      return new KeptResult(new PartOfContent(content, { offset, length }), form);
    },
  };
}

function freeOperation(blocks: Blocks): Operation {
  return {
    spec: {
      name: 'block.free',
      summary:
        'Gives an extent back and ends all memories of it; one that does not exist is no error.',
      arguments: [EXTENT],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args) {
      const extent = extentOf(args);
      await blocks.free([extent]);
      return jsonValue({ extent });
    },
  };
}

/** A range of a content, which it owns. */
class PartOfContent implements Content {
  readonly sizeBytes: number;
  readonly #whole: Content;
  readonly #offset: number;

  constructor(whole: Content, { offset, length }: ContentRange) {
    this.#whole = whole;
    this.#offset = offset;
    this.sizeBytes = length;
  }

  read({ offset, length }: ContentRange, options: ReadContentOptions): AsyncIterable<Uint8Array> {
    return this.#whole.read({ offset: this.#offset + offset, length }, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#whole[Symbol.asyncDispose]();
  }
}

function numberOf(args: Arguments, name: string): number | undefined {
  const kind = args.get(name)?.kind;
  if (!kind) return undefined;
  const value = kind.$case === 'integer' ? Number(kind.value) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalidArgument(name, 'is not a whole number from 0');
  return value;
}

/** An id as text or JSON text, or the JSON that `block.allocate` yields. */
function extentOf(args: Arguments): string {
  const value = args.get('extent');
  const text = textOf(value);
  const id = text.trimStart().startsWith('{') ? idIn(text) : text.trim();
  if (!/^[0-9a-f]{32}$/.test(id))
    throw invalidArgument('extent', 'is not the id of an extent: 32 hexadecimal digits');
  return id;
}

function textOf(value: Value | undefined): string {
  const kind = value?.kind;
  if (kind?.$case === 'text') return kind.value;
  return kind?.$case === 'bytes' ? Buffer.from(kind.value.data).toString() : '';
}

function idIn(json: string): string {
  try {
    const { extent } = JSON.parse(json) as { extent?: unknown };
    return typeof extent === 'string' ? extent : '';
  } catch {
    return '';
  }
}
