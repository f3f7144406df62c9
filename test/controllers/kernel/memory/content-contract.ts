import type { Content } from '../../../../services/content.js';
import { assert, rejects } from '../../../suite.js';
import type { Test } from '../../../suite.js';
import { pattern } from './sites.js';

export interface ContentUnderTest {
  /** A fresh content with exactly these bytes. */
  readonly make: (bytes: Buffer) => Promise<Content> | Content;
  /** Whether it can be written. */
  readonly writable: boolean;
}

const SIZE = 10_000;

async function read(
  content: Content,
  offset: number,
  length: number,
  chunkBytes = 4096,
): Promise<{ bytes: Buffer; sizes: number[] }> {
  const chunks: Uint8Array[] = [];
  const { signal } = new AbortController();
  for await (const chunk of content.read({ offset, length }, { chunkBytes, signal }))
    chunks.push(chunk);
  // Joined only now: a chunk stays as it is while the next are read.
  return { bytes: Buffer.concat(chunks), sizes: chunks.map((chunk) => chunk.length) };
}

/** What every `Content` does; run it in the suite of each kind. */
export function contentContract(test: Test, { make, writable }: ContentUnderTest): void {
  test('content is read whole and in part, in chunks no longer than asked for', async () => {
    const bytes = pattern(SIZE);
    await using content = await make(bytes);
    assert.is(content.sizeBytes, SIZE);
    for (const [offset, length] of [
      [0, SIZE],
      [0, 1],
      [SIZE - 1, 1],
      [4095, 2],
      [1234, 5678],
      [SIZE, 0],
      [0, 0],
    ] as const) {
      const found = await read(content, offset, length);
      const expected = bytes.subarray(offset, offset + length);
      assert.is(Buffer.compare(found.bytes, expected), 0, `${String(length)} at ${String(offset)}`);
      assert.ok(found.sizes.every((size) => size > 0 && size <= 4096));
    }
  });

  test('content is read again and by several at once', async () => {
    const bytes = pattern(SIZE);
    await using content = await make(bytes);
    const all = await Promise.all([1, 2, 3].map((count) => read(content, 0, SIZE, count * 1000)));
    for (const found of all) assert.is(Buffer.compare(found.bytes, bytes), 0);
  });

  test('a read ends when its signal aborts, and a reader may stop early', async () => {
    await using content = await make(pattern(SIZE));
    const stop = new AbortController();
    const { signal } = stop;
    const chunks = content.read({ offset: 0, length: SIZE }, { chunkBytes: 100, signal });
    let count = 0;
    const reading = (async () => {
      for await (const chunk of chunks) if (chunk.length > 0 && ++count === 2) stop.abort();
    })();
    await rejects(reading, Error);
    assert.is(count, 2);
    const options = { chunkBytes: 100, signal: new AbortController().signal };
    for await (const chunk of content.read({ offset: 0, length: SIZE }, options)) {
      assert.is(chunk.length, 100);
      break;
    }
    assert.is((await read(content, 0, SIZE)).bytes.length, SIZE);
  });

  test('content can be written exactly where it says so', async () => {
    const bytes = pattern(SIZE);
    await using content = await make(bytes);
    assert.is(content.write !== undefined, writable);
    if (!content.write) return;
    const data = Buffer.from('written');
    await content.write(SIZE - data.length, data);
    data.fill(0);
    const { bytes: found } = await read(content, 0, SIZE);
    assert.is(found.subarray(-7).toString(), 'written');
    const before = SIZE - 7;
    assert.is(Buffer.compare(found.subarray(0, before), pattern(SIZE).subarray(0, before)), 0);
  });

  test('no read or write succeeds after the content was disposed of', async () => {
    const content = await make(pattern(SIZE));
    await content[Symbol.asyncDispose]();
    await rejects(read(content, 0, SIZE), Error);
    const write = async (): Promise<void> => {
      await content.write?.(0, Buffer.alloc(1));
    };
    if (writable) await rejects(write(), Error);
  });
}
