import { copyFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';

import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { BlockDevice } from '../../../services/block/device.js';
import { DEFAULT_BLOCK_LIMITS } from '../../../services/block/limits.js';
import { assert, rejects, suite } from '../../suite.js';
import { BLOCK, deviceFolder, readWhole } from './fixture.js';
import { DeviceKillRounds } from './kill-rounds.js';

type Step =
  | { readonly act: 'allocate'; readonly blocks: number }
  | { readonly act: 'free' | 'scrub'; readonly which: number }
  | {
      readonly act: 'write';
      readonly which: number;
      readonly offset: number;
      readonly length: number;
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ act: fc.constant('allocate' as const), blocks: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ act: fc.constant('free' as const), which: fc.nat(9) }),
  fc.record({ act: fc.constant('scrub' as const), which: fc.constant(0) }),
  fc.record({
    ...{ act: fc.constant('write' as const), which: fc.nat(9) },
    ...{ offset: fc.nat(3000), length: fc.integer({ min: 1, max: 5000 }) },
  }),
);

suite('block device against byte arrays', (test) => {
  test(
    'each extent is a byte array of its own, zero at first',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          await using folder = await deviceFolder();
          const model = new Map<string, Buffer>();
          {
            await using device = await folder.open({ compactBytes: 1500 });
            let letter = 0;
            for (const one of steps) await perform(device, model, one, ++letter);
            await check(device, model);
          }
          await using device = await folder.open();
          await check(device, model);
        }),
        { numRuns: 40 },
      );
    },
    { timeoutMs: 60_000 },
  );

  test(
    'after a crash at any byte of the journal the table is as it was after some change, and all that was acknowledged before is there',
    async () => {
      await using folder = await deviceFolder();
      const journal = `${folder.file}.journal`;
      /** Length of the journal, and the extents that there were then. */
      const states: [number, string[]][] = [];
      {
        await using device = await folder.open();
        const ids: string[] = [];
        const note = async (): Promise<void> => {
          states.push([(await stat(journal)).size, [...ids].sort()]);
        };
        await note();
        for (let round = 0; round < 6; round++) {
          ids.push((await device.allocate(3 * BLOCK, `round ${String(round)}`)).id);
          await note();
          if (round % 2 === 0) continue;
          await device.free([ids.shift()!]);
          await note();
        }
      }
      const text = await readFile(journal);
      await using crash = await crashFolder();
      const [[first]] = states as [[number, string[]]];
      for (let at = first; at <= text.length; at++) {
        await copyFile(folder.file, crash.file);
        // Torn: the rest was not written, or is there as something else.
        const rest = at % 3 === 0 ? Buffer.alloc(Math.min(20, text.length - at)) : Buffer.alloc(0);
        await writeFile(`${crash.file}.journal`, Buffer.concat([text.subarray(0, at), rest]));
        const expected = states.filter(([length]) => length <= at).at(-1)![1];
        await using device = await crash.open();
        assert.equal(device.list('round'.padEnd(16, ' ')).extents, []);
        assert.is(device.usage().extents, expected.length, `cut at ${String(at)}`);
        for (const id of expected) assert.is(device.content([id]).sizeBytes, 3 * BLOCK);
        // It goes on from there, and what it adds is there after the next crash.
        if (at % 5 !== 0) continue;
        const { id } = await device.allocate(BLOCK);
        await device[Symbol.asyncDispose]();
        await using again = await crash.open();
        assert.is(again.usage().extents, expected.length + 1);
        assert.is(again.content([id]).sizeBytes, BLOCK);
      }
    },
    { timeoutMs: 60_000 },
  );

  test(
    'a process that is killed at any moment leaves all that it was told, and no lock',
    async () => {
      await using folder = await deviceFolder();
      const rounds = new DeviceKillRounds(folder.file, Math.random);
      await rounds.run(6);
      assert.equal([rounds.kills, rounds.lost], [6, 0]);
      assert.ok(rounds.acknowledged > 0);
    },
    { timeoutMs: 60_000 },
  );

  test('a device file that is shorter than it was said to be is made whole again while nothing is in use', async () => {
    await using folder = await deviceFolder();
    {
      await using device = await folder.open();
      assert.is(device.usage().extents, 0);
    }
    await truncate(folder.file, 0);
    await using device = await folder.open();
    const { id } = await device.allocate(64 * BLOCK);
    await using content = device.content([id]);
    assert.ok((await readWhole(content)).equals(Buffer.alloc(64 * BLOCK)));
  });
});

async function crashFolder() {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-crash-'));
  const file = path.join(folder, 'block-1.img');
  return {
    file,
    open: () =>
      BlockDevice.open({
        ...{ file, name: 'block-1', capacityBytes: 64 * BLOCK, blockBytes: BLOCK },
        ...{ limits: DEFAULT_BLOCK_LIMITS, log: silentLogger() },
      }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function perform(
  device: BlockDevice,
  model: Map<string, Buffer>,
  one: Step,
  letter: number,
): Promise<void> {
  const ids = [...model.keys()];
  switch (one.act) {
    case 'allocate': {
      const bytes = one.blocks * BLOCK;
      const { capacityBytes, allocatedBytes } = device.usage();
      if (capacityBytes - allocatedBytes < bytes)
        await rejects(device.allocate(bytes), FractoryError, { reason: 'DEVICE_FULL' });
      else model.set((await device.allocate(bytes)).id, Buffer.alloc(bytes));
      break;
    }
    case 'free': {
      const id = ids[one.which % (ids.length || 1)];
      if (id === undefined) break;
      await device.free([id]);
      model.delete(id);
      break;
    }
    case 'scrub':
      await device.scrubbed();
      break;
    case 'write': {
      const id = ids[one.which % (ids.length || 1)];
      if (id === undefined) break;
      const expected = model.get(id)!;
      const offset = one.offset % expected.length;
      const data = Buffer.alloc(Math.min(one.length, expected.length - offset), letter % 256);
      await using content = device.content([id]);
      await content.write(offset, data);
      data.copy(expected, offset);
    }
  }
}

async function check(device: BlockDevice, model: Map<string, Buffer>): Promise<void> {
  assert.is(device.usage().extents, model.size);
  if (model.size === 0) return;
  for (const [id, expected] of model) {
    await using content = device.content([id]);
    assert.ok((await readWhole(content)).equals(expected), id);
  }
  await using whole = device.content([...model.keys()]);
  assert.ok((await readWhole(whole)).equals(Buffer.concat([...model.values()])));
}
