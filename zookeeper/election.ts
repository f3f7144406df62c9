import { orderNames, predecessorOf } from './members.js';
import type { Session } from './session.js';

/** `leads`, or waits for its predecessor to go, or is not in the queue (any more). */
export type Standpoint = 'leads' | 'waits' | 'absent';

/**
 * Where a znode stands in the queue for leadership. Leaves watches on the znode itself and on its predecessor only (no herd when
 * a leader goes); `onChange` hears of their end, and the caller asks again.
 *
 * A server that lags behind may still show a predecessor that is gone, never miss one that is there: names come
 * in order, and a name that is gone doesn't come back. So `leads` is true however old the view.
 */
export async function standpointOf(
  session: Session,
  queue: { readonly path: string; readonly own: string },
  onChange: () => void,
): Promise<Standpoint> {
  if (!(await session.watch(`${queue.path}/${queue.own}`, onChange))) return 'absent';
  for (;;) {
    const names = await session.children(queue.path);
    if (!orderNames(names).some(({ name }) => name === queue.own)) return 'absent';
    const predecessor = predecessorOf(names, queue.own);
    if (predecessor === undefined) return 'leads';
    if (await session.watch(`${queue.path}/${predecessor}`, onChange)) return 'waits';
  }
}
