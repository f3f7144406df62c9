import { silentLogger } from '../../../runtime/logger.js';
import { BlockDevice } from '../../../services/block/device.js';
import { DEFAULT_BLOCK_LIMITS } from '../../../services/block/limits.js';

/**
 * A process that sets extents aside, fills each with a letter, and gives the oldest back, until it is killed. `allocator FILE ID...`: the ids of
 * extents that it has already. It says what it has when that is durable, and what it frees before it does.
 */
const [file = '', ...held] = process.argv.slice(2);
const device = await BlockDevice.open({
  ...{ file, name: 'block-1', capacityBytes: 2048 * 512, blockBytes: 512 },
  ...{ limits: DEFAULT_BLOCK_LIMITS, log: silentLogger(), compactBytes: 3000 },
});
for (let round = 0; ; round++) {
  const letter = String.fromCharCode(97 + (round % 26));
  const { id, sizeBytes } = await device.allocate(512 * (1 + (round % 40)));
  const content = device.content([id]);
  await content.write(0, Buffer.alloc(sizeBytes, letter));
  await content[Symbol.asyncDispose]();
  await device.sync([id]);
  console.log(`has ${id} ${letter}`);
  held.push(id);
  if (held.length <= 20) continue;
  const oldest = held.splice(0, 2);
  for (const one of oldest) console.log(`frees ${one}`);
  await device.free(oldest);
}
