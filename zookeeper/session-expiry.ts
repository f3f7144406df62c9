import type { Clock } from '../runtime/clock.js';
import type { ZooKeeperClient } from './client.js';
import type { ConnectionState } from './coordinator.js';
import { ZooKeeperError } from './zookeeper-error.js';

/** A session as whoever ends it sees it. */
export interface ExpirableSession {
  readonly state: ConnectionState;
  readonly generation: number;
  readonly timeoutMs: number;
  onState(listener: (state: ConnectionState) => void): () => void;
}

const ATTEMPTS = 5;

/**
 * Ends a session at the server by a second connection that claims it, while the first knows nothing: it finds out as it does when its
 * session has expired. Resolves when it has.
 *
 * @param clientOf the client of the session at the time
 */
export async function expireSession(
  session: ExpirableSession,
  clientOf: () => ZooKeeperClient | undefined,
  clock: Clock,
): Promise<void> {
  const { generation } = session;
  const settle = (): Promise<ConnectionState> => nextState(session, 2 * session.timeoutMs, clock);
  const isOver = (): boolean => session.generation > generation;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    // Where the last attempt, or a fault, has broken the first connection, it comes back or the session is over.
    if (session.state === 'suspended' && (await settle()) === 'lost') return;
    if (isOver()) return;
    const ours = clientOf();
    if (!ours || session.state !== 'connected') break;
    // The first connection breaks when the second claims the session; it may claim it back in time.
    const settled = settle();
    if (!(await ours.expire(session.timeoutMs))) continue;
    if ((await settled) !== 'connected' || isOver()) return;
  }
  throw new ZooKeeperError('connection-loss', 'zookeeper: there is no session to end');
}

/** Resolves as soon as the session is connected again or lost. */
function nextState(
  session: ExpirableSession,
  timeoutMs: number,
  clock: Clock,
): Promise<ConnectionState> {
  return new Promise((resolve) => {
    const done = (state: ConnectionState): void => {
      cancel();
      stop();
      resolve(state);
    };
    const cancel = clock.schedule(timeoutMs, () => {
      done(session.state);
    });
    const stop = session.onState((state) => {
      if (state !== 'suspended') done(state);
    });
  });
}
