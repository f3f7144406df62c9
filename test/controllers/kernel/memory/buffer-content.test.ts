import { BufferContent } from '../../../../controllers/kernel/memory/buffer-content.js';
import { assert, suite } from '../../../suite.js';
import { contentContract } from './content-contract.js';
import { gathered, never } from './sites.js';

suite('content on the heap that is only read', (test) => {
  contentContract(test, { make: (bytes) => new BufferContent(bytes), writable: false });
});

suite('content on the heap that can be written', (test) => {
  contentContract(test, {
    make: (bytes) => new BufferContent(bytes, { writable: true }),
    writable: true,
  });

  test('a fresh one is zeroed', async () => {
    await using content = BufferContent.zeroed(100);
    const options = { chunkBytes: 64, signal: never };
    const bytes = await gathered(content.read({ offset: 0, length: 100 }, options));
    assert.is(Buffer.compare(bytes, Buffer.alloc(100)), 0);
  });
});
