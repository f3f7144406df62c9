import type { Clock } from '../runtime/clock.js';
import type { ConnectionState } from './coordinator.js';
import { closedError, lostError, ZooKeeperError } from './zookeeper-error.js';

interface Waiter {
  readonly settle: (error?: ZooKeeperError) => void;
  /** Belongs to the session that was suspended when it came; undefined: to the next session. */
  readonly generation: number | undefined;
}

/** Where a session is. */
export interface SessionPlace {
  readonly state: ConnectionState;
  readonly generation: number;
}

/** Operations that wait until they can be sent. */
export class SessionWaiters {
  readonly #session: SessionPlace;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();

  constructor(session: SessionPlace, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  /** Resolves as soon as operations can be sent. */
  async connected(timeoutMs: number, operation: string): Promise<void> {
    const deadlineAtMs = this.#clock.monotonicMs() + timeoutMs;
    const { state, generation } = this.#session;
    const belongsTo = state === 'suspended' ? generation : undefined;
    while (this.#session.state !== 'connected') {
      if (this.#session.state === 'closed') throw closedError(operation);
      await this.#change(deadlineAtMs, belongsTo, operation, timeoutMs);
    }
  }

  /** To be called at each change of the session's state. */
  settle(): void {
    const isLost = this.#session.state === 'lost';
    for (const waiter of [...this.#waiters])
      if (isLost && waiter.generation !== undefined)
        waiter.settle(lostError('waiting operation', waiter.generation));
      else waiter.settle();
  }

  #change(
    deadlineAtMs: number,
    generation: number | undefined,
    operation: string,
    timeoutMs: number,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        generation,
        settle: (error) => {
          cancel();
          this.#waiters.delete(waiter);
          if (error) reject(error);
          else resolve();
        },
      };
      const cancel = this.#clock.schedule(deadlineAtMs - this.#clock.monotonicMs(), () => {
        const text = `zookeeper: ${operation}: no connection within ${String(timeoutMs)} ms`;
        waiter.settle(new ZooKeeperError('timeout', text));
      });
      this.#waiters.add(waiter);
    });
  }
}
