import { ChunkBuffers } from '../../../../../controllers/kernel/memory/bulk/chunk-buffers.js';
import { assert, suite } from '../../../../suite.js';

suite('memory for chunks', (test) => {
  test('is lent again once it was given back, never to two at a time', () => {
    const buffers = new ChunkBuffers(1024);
    const [one, two] = [buffers.lend(1024), buffers.lend(10)];
    assert.is.not(one.buffer, two.buffer);
    assert.equal([one.length, two.length], [1024, 10]);
    buffers.giveBack(two);
    const three = buffers.lend(500);
    assert.is(three.buffer, two.buffer);
    assert.is(three.length, 500);
  });

  test('given back twice counts once, as a part of it does', () => {
    const buffers = new ChunkBuffers(1024);
    const chunk = buffers.lend(1024);
    buffers.giveBack(chunk.subarray(0, 5));
    buffers.giveBack(chunk);
    assert.is(buffers.free, 1);
    assert.is.not(buffers.lend(1).buffer, buffers.lend(1).buffer);
  });

  test('is not taken from those who never borrowed it', () => {
    const buffers = new ChunkBuffers(1024);
    buffers.giveBack(Buffer.alloc(1024));
    buffers.giveBack(Buffer.from('a view of a pool'));
    assert.is(buffers.free, 0);
  });

  test('is kept for a bounded number of chunks', () => {
    const buffers = new ChunkBuffers(16);
    const chunks = Array.from({ length: 100 }, () => buffers.lend(16));
    for (const chunk of chunks) buffers.giveBack(chunk);
    assert.ok(buffers.free <= 8, `${String(buffers.free)} are kept`);
  });
});
