import { openStore } from '../../services/storage/fixture.js';
import type { Fixture } from '../../services/storage/fixture.js';
import { storeContract } from '../../services/storage/store-contract.js';
import { BlockCalls } from '../../../controllers/storage/block-calls.js';
import { BlockDepot } from '../../../controllers/storage/block-depot.js';
import type { StorageLimits } from '../../../services/storage/limits.js';
import { silentLogger } from '../../../runtime/logger.js';
import { systemClock } from '../../../runtime/clock.js';
import { layered } from './layered-nodes.js';

/** The contract of a file store, its content on a real block node. */
storeContract('file store over a block node', async (limits: Partial<StorageLimits> = {}) => {
  const world = await layered({}, { capacity_bytes: '256 MiB' });
  const { kernel, peers } = world.host;
  const depot = new BlockDepot({
    ...{ device: 'block-1', calls: new BlockCalls(peers), memory: () => kernel.memory },
    epochOf: (id) => kernel.members().find((member) => member.id === id)?.epoch,
    ...{ lingerMs: 60_000, clock: systemClock, log: silentLogger() },
  });
  const fixture = await openStore(limits, { depot });
  const whole: Fixture = {
    ...fixture,
    [Symbol.asyncDispose]: async () => {
      try {
        await fixture[Symbol.asyncDispose]();
      } finally {
        await depot[Symbol.asyncDispose]();
        await world[Symbol.asyncDispose]();
      }
    },
  };
  return whole;
});
