import type { Receipt } from '../../protos/gen/fractory/v1/graph.js';
import type { Failure } from '../../protos/gen/fractory/v1/value.js';
import { fromFailure } from '../../protos/status.js';
import type { Clock } from '../../runtime/clock.js';
import type { KernelAccess } from '../kernel/device.js';
import { isToBlame } from '../kernel/peers.js';
import { ShortestWays } from './shortest-ways.js';

/** Tells the directory what runs show of the members that take part in them. */
export class Observations {
  readonly #kernel: Pick<KernelAccess, 'observe' | 'members'>;
  readonly #ways: ShortestWays;

  constructor(kernel: Pick<KernelAccess, 'observe' | 'members'>, clock: Clock) {
    this.#kernel = kernel;
    this.#ways = new ShortestWays(clock);
  }

  /**
   * How long members took for the steps of a run, the way to them included: who gets no time of its processor, or has a bad link, is late before it
   * looks at its clock for the first time.
   */
  receipts(receipts: readonly Receipt[]): void {
    let from = '';
    for (const { member: id, epoch, operation, reused, ...times } of receipts) {
      const lateUs = this.#ways.lateUs(from, id, times.transferUs);
      from = id;
      if (reused) continue;
      const ms = (lateUs + times.queueUs + times.pullUs + times.computeUs) / 1000;
      this.#kernel.observe({ id, epoch }, { kind: 'done', operation, ms });
    }
  }

  /** Why an attempt failed, where a member is to blame for it. One whose link broke is suspected already. */
  failure(failure: Failure): void {
    const member = this.#kernel.members().find(({ id }) => id === failure.member);
    if (member && isToBlame(fromFailure(failure))) this.#kernel.observe(member, { kind: 'failed' });
  }
}
