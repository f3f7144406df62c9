import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { KernelAccess } from '../kernel/device.js';

const CONNECT_MS = 5000;
/** Members beyond this are met when they are needed. */
const MOST = 64;

/**
 * Connects with members when they appear, also with those that only stand by, and on nodes that only stand by: when a leader dies, the first run after it finds
 * its way open. Returns what ends that.
 */
export function keepWarm(
  kernel: Pick<KernelAccess, 'members' | 'onMembers' | 'connect' | 'watch'>,
  self: string,
  log: Logger,
): () => void {
  const warm = new Map<bigint, () => void>();
  const closed = new AbortController();
  const look = (): void => {
    const present = kernel.members().filter(({ id }) => id !== self);
    const epochs = new Set(present.map(({ epoch }) => epoch));
    for (const [epoch, stop] of [...warm])
      if (!epochs.has(epoch)) {
        stop();
        warm.delete(epoch);
      }
    for (const member of present) {
      if (warm.has(member.epoch) || warm.size >= MOST) continue;
      // A link that breaks is made anew by whoever needs it next.
      warm.set(
        member.epoch,
        kernel.watch(member, () => undefined),
      );
      const signal = AbortSignal.any([closed.signal, AbortSignal.timeout(CONNECT_MS)]);
      kernel.connect(member, signal).catch((error: unknown) => {
        log.debug({ peer: member.id, error: messageOf(error) }, 'member was not met beforehand');
      });
    }
  };
  const stopListening = kernel.onMembers(look);
  look();
  return () => {
    stopListening();
    closed.abort();
    for (const stop of warm.values()) stop();
    warm.clear();
  };
}
