import type { Clock } from '../runtime/clock.js';
import type { ClientEvent, ZooKeeperClient } from './client.js';

export interface RivalProbeOptions {
  readonly makeClient: (onEvent: (event: ClientEvent) => void) => ZooKeeperClient;
  /** How long the rival is let in, and we are not, before our session counts as over, ms. */
  readonly patienceMs: () => number;
  /** A rival is let in, and has been for that long. */
  readonly onOthersOnly: () => void;
  readonly clock: Clock;
}

const CLOSE_MS = 500;

/**
 * A second client that finds out whether others are let in while we aren't. Servers that were wiped say nothing to a client that has seen more than they
 * have: they close its connection, as those without a quorum do. Who lets another client in, and still not this one, has no session of ours.
 */
export class RivalProbe {
  readonly #options: RivalProbeOptions;
  #rival: ZooKeeperClient | undefined;
  #cancel: () => void = () => undefined;

  constructor(options: RivalProbeOptions) {
    this.#options = options;
  }

  /** Idempotent until `end`. */
  begin(): void {
    if (this.#rival) return;
    const { makeClient, patienceMs, onOthersOnly, clock } = this.#options;
    const rival = makeClient((event) => {
      if (rival !== this.#rival) return;
      // Who is sent away again is let in no more than we are: the servers have lost their quorum, say.
      this.#cancel();
      if (event !== 'connected') return;
      this.#cancel = clock.schedule(patienceMs(), () => {
        if (rival === this.#rival) onOthersOnly();
      });
    });
    this.#rival = rival;
    rival.connect();
  }

  /** Idempotent. */
  end(): void {
    const rival = this.#rival;
    this.#rival = undefined;
    this.#cancel();
    void rival?.close(CLOSE_MS);
  }
}
