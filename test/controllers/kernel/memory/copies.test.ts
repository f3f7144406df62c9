import type { Memory } from '../../../../protos/gen/fractory/v1/value.js';
import { cancelled, FractoryError } from '../../../../runtime/errors.js';
import { assert, rejects, suite } from '../../../suite.js';
import { bytesOf, pull, same, sha256 } from './pulled.js';
import { never, pattern, Sites } from './sites.js';

const MIB = 1024 * 1024;

suite('copies and writes between controllers', (test) => {
  test('a copy goes from owner to owner, whoever asks for it', async () => {
    await using sites = await Sites.start(3);
    const bytes = pattern(3 * MIB + 5);
    const source = sites.at(0).keep(bytes);
    for (const at of [0, 1]) {
      const destination = sites.at(at).keep(Buffer.alloc(4 * MIB), { writable: true });
      for (const initiator of sites.all) {
        const to = destination.memory.capability!;
        const { access } = initiator.memory;
        const options = { sha256: true, signal: never };
        const end = await access.copy(source.memory.capability!, to, options);
        assert.is(end.sizeBytes, BigInt(bytes.length));
        same(end.sha256, sha256(bytes));
        const plain = await access.copy(source.memory.capability!, to, { signal: never });
        assert.is(plain.sha256.length, 0);
      }
      const found = bytesOf(await pull(sites.at(2), destination.memory));
      same(found.subarray(0, bytes.length), bytes);
      destination.free();
    }
    source.free();
  });

  test('a copy that does not fit, or without the rights, writes nothing', async () => {
    await using sites = await Sites.start(3);
    const [a, b, c] = [sites.at(0), sites.at(1), sites.at(2)];
    const source = a.keep(pattern(1001));
    const small = b.keep(Buffer.alloc(1000), { writable: true });
    const readOnly = b.keep(Buffer.alloc(2000));
    for (const initiator of [a, b, c]) {
      const copy = (to: Memory): Promise<unknown> =>
        initiator.memory.access.copy(source.memory.capability!, to.capability!, { signal: never });
      await rejects(copy(small.memory), FractoryError, { reason: 'OUT_OF_BOUNDS' });
      await rejects(copy(readOnly.memory), FractoryError, { reason: 'CAPABILITY_DENIED' });
    }
    same(bytesOf(await pull(a, small.memory)), Buffer.alloc(1000));
    for (const kept of [source, small, readOnly]) kept.free();
  });

  test('a memory is written from here and from elsewhere', async () => {
    await using sites = await Sites.start(2);
    const kept = sites.at(0).keep(Buffer.alloc(3 * MIB), { writable: true });
    const bytes = pattern(2 * MIB);
    for (const [index, writer] of sites.all.entries()) {
      const offset = index * 1000;
      const chunks = [bytes.subarray(0, 10), bytes.subarray(10)];
      const { access } = writer.memory;
      const end = await access.write(kept.memory.capability!, offset, chunks, never);
      assert.is(end.sizeBytes, BigInt(bytes.length));
      same(end.sha256, sha256(bytes));
      const found = bytesOf(await pull(sites.at(1), kept.memory));
      same(found.subarray(offset, offset + bytes.length), bytes);
      await rejects(
        access.write(kept.memory.capability!, 3 * MIB - 5, chunks, never),
        FractoryError,
        { reason: 'OUT_OF_BOUNDS' },
      );
      const broken = (async function* () {
        yield bytes.subarray(0, 5);
        await Promise.resolve();
        throw cancelled('the source broke');
      })();
      const error = await rejects(
        access.write(kept.memory.capability!, 0, broken, never),
        FractoryError,
      );
      assert.is(error.message, 'the source broke');
    }
    kept.free();
  });
});
