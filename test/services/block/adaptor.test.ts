import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { bytesValue, integerValue, textValue, toPlain } from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { blockAdaptor } from '../../../services/block/adaptor.js';
import type { BlockDevice } from '../../../services/block/device.js';
import type { OperationResult } from '../../../services/adaptor.js';
import { KeptResult } from '../../../services/content.js';
import { assert, rejects, suite } from '../../suite.js';
import { BLOCK, deviceFolder, signal } from './fixture.js';

async function perform(
  device: BlockDevice,
  name: string,
  args: Readonly<Record<string, Value>>,
): Promise<OperationResult> {
  const operation = blockAdaptor(device).operations.find(
    (one) => one.spec.name === `block.${name}`,
  );
  return operation!.perform(new Map(Object.entries(args)), {
    ...{ signal, budgetMs: 1000, step: { run: 'r', step: 's' }, log: silentLogger() },
    stream: () => {
      throw new Error('nothing is streamed');
    },
  });
}

suite('operations of a block node', (test) => {
  test('what allocate yields is what read and free take', async () => {
    await using folder = await deviceFolder();
    await using device = await folder.open();
    const extent = (await perform(device, 'allocate', { size: integerValue(1n) })) as Value;
    const { extent: id, sizeBytes } = toPlain(extent) as { extent: string; sizeBytes: number };
    assert.is(sizeBytes, BLOCK);
    {
      await using content = device.content([id]);
      await content.write(0, Buffer.from('hello world'));
    }
    const cases: [Record<string, Value>, string][] = [
      [{ extent, length: integerValue(5n) }, 'hello'],
      [{ extent: textValue(id), offset: integerValue(6n), length: integerValue(5n) }, 'world'],
      [{ extent: textValue(id), offset: integerValue(BigInt(BLOCK)) }, ''],
    ];
    for (const [args, expected] of cases) {
      const result = await perform(device, 'read', args);
      assert.instance(result, KeptResult);
      await using content = (result as KeptResult).content;
      const chunks: Uint8Array[] = [];
      const range = { offset: 0, length: content.sizeBytes };
      for await (const chunk of content.read(range, { chunkBytes: 3, signal })) chunks.push(chunk);
      assert.is(Buffer.concat(chunks).toString(), expected);
    }
    await perform(device, 'free', { extent });
    await perform(device, 'free', { extent });
    await rejects(perform(device, 'read', { extent }), FractoryError, {
      reason: 'EXTENT_NOT_FOUND',
    });
  });

  test('what is no extent and no number is refused', async () => {
    await using folder = await deviceFolder();
    await using device = await folder.open();
    const invalid = { reason: 'INVALID_ARGUMENT' } as const;
    for (const extent of [textValue('../x'), bytesValue('', Buffer.from('{"extent":7}'))])
      await rejects(perform(device, 'read', { extent }), FractoryError, invalid);
    const size = integerValue(-1n);
    await rejects(perform(device, 'allocate', { size }), FractoryError, invalid);
  });
});
