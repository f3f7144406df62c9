import { systemClock } from '../../runtime/clock.js';
import { sleep } from '../../runtime/deadline.js';
import { cancelled, FractoryError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { makeStorageAdaptor } from '../../services/storage/adaptor.js';
import { FileStore } from '../../services/storage/store.js';
import type { MakeDevice } from '../kernel/device.js';
import { notLeading } from '../kernel/leadership.js';
import { BlockCalls } from './block-calls.js';
import { BlockDepot } from './block-depot.js';
import { storageService } from './service.js';
import type { StorageSettings } from './settings.js';

/** Between two searches for extents that dead members of this storage have left. */
const SEARCH_MS = 3_600_000;
/** The block device may start after this node. */
const RETRY_MS = 2000;

/** Opens the folder of the files of clients; a folder that can't be opened stops the node. */
export const makeStorageDevice: MakeDevice<StorageSettings> = async (context) => {
  const { settings, storagePath, kernel, peers, log } = context;
  const depot = new BlockDepot({
    ...{ device: settings.block_member, calls: new BlockCalls(peers), clock: systemClock, log },
    memory: () => kernel.memory,
    epochOf: (id) => kernel.members().find((member) => member.id === id)?.epoch,
    lingerMs: settings.block_linger_ms,
  });
  const writesToDepot = settings.backend === 'block';
  /** Of a leader that leaves in good order: what it has admitted it finishes in this epoch. */
  let left: bigint | undefined;
  const epoch = (): bigint => {
    if (kernel.leads()) return kernel.epoch();
    if (left === undefined) throw notLeading(context.member, undefined);
    return left;
  };
  const store = await FileStore.open(storagePath, settings, {
    ...{ depot, writesToDepot, epoch },
    onFenced: (by) => void kernel.stepBack(by),
  });
  let raising = Promise.resolve();
  const stopRaising = kernel.onLeads(() => {
    const led = kernel.epoch();
    // No change waits for it: each looks at the fence anyway.
    raising = raising
      .then(() => store.raiseFence(led))
      .catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, 'the fence was not raised');
      });
  });
  const stopping = new AbortController();
  const searching = writesToDepot ? freeOrphans(store, log, stopping.signal) : Promise.resolve();
  return {
    adaptor: makeStorageAdaptor(store, {
      inlineLimitBytes: kernel.limits.inline_limit_bytes,
      maxLoadedBytes: kernel.limits.max_pulled_bytes,
      limits: settings,
    }),
    services: [storageService(store, settings)],
    leave: async (graceMs) => {
      if (!kernel.leads()) return;
      left = kernel.epoch();
      await store.leave(left, Date.now() + graceMs).catch((error: unknown) => {
        log.warn(
          { error: messageOf(error) },
          'what is under way may be refused when another leads',
        );
      });
    },
    // Files are open as long as their calls or memories; the kernel ends those.
    [Symbol.asyncDispose]: async () => {
      stopRaising();
      stopping.abort(cancelled('the node is stopping'));
      await Promise.all([searching, raising]);
      await depot[Symbol.asyncDispose]();
    },
  };
};

/** Never rejects. */
async function freeOrphans(store: FileStore, log: Logger, signal: AbortSignal): Promise<void> {
  let isTold = false;
  const search = async (): Promise<number> => {
    try {
      const extents = await store.freeOrphans(signal);
      if (extents > 0) log.info({ extents }, 'freed extents that no file has');
      isTold = false;
      return SEARCH_MS;
    } catch (error) {
      if (!signal.aborted && !isTold) {
        // A device that starts after this node is nothing to warn of; whoever needs it hears of it.
        const isLost = error instanceof FractoryError && error.reason === 'OWNER_LOST';
        const facts = { error: messageOf(error) };
        log[isLost ? 'debug' : 'warn'](facts, 'can not look for extents that no file has yet');
      }
      isTold = true;
      return RETRY_MS;
    }
  };
  while (!signal.aborted) await sleep(await search(), signal).catch(() => undefined);
}
