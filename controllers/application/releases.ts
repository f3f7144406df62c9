import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Receipt } from '../../protos/gen/fractory/v1/graph.js';
import { allSteps } from '../../services/application/graph/checked-graph.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { KernelAccess } from '../kernel/device.js';
import type { Plan, PlannedStep } from './plan.js';

/** Steps that one member may do for a run. */
interface Share {
  readonly member: Member;
  /** By the id of the step. */
  readonly capabilities: Map<string, Capability>;
}

/** What a run has asked of members, and tells them when it needs it no more. */
export class Releases {
  readonly #kernel: Pick<KernelAccess, 'release'>;
  readonly #shares = new Map<string, Share>();
  #attempt = 0;
  /** Steps may be left under way, or something be left behind, even if the present attempt succeeds. */
  #leavesTraces = false;

  constructor(kernel: Pick<KernelAccess, 'release'>) {
    this.#kernel = kernel;
  }

  /** An attempt begins; `isFirst`: there was none before. */
  begin(attempt: number, { graph }: Plan, isFirst: boolean): void {
    this.#attempt = attempt;
    this.#leavesTraces ||= !isFirst;
    for (const { step } of allSteps<PlannedStep>(graph)) {
      this.#leavesTraces ||= leavesTraces(step);
      for (const { member, capability } of step.places)
        this.#shareOf(member).capabilities.set(step.id, capability);
    }
  }

  /** What an owner of the run before has under way, in attempts up to `attempt`, is aborted where this one has its steps. */
  takeOver(attempt: number): void {
    for (const { member, capabilities } of this.#shares.values())
      this.#kernel.release(member, {
        ...{ capabilities: [...capabilities.values()], attempt, ended: false },
      });
  }

  /** The present attempt has failed and there will be another: what is under way is aborted, results are kept. */
  failed(): void {
    this.#releaseAll(false);
  }

  /** The run has ended: everything goes. After a success only where something may be left. */
  ended(isSuccess: boolean, receipts: readonly Receipt[]): void {
    if (!isSuccess || this.#leavesTraces) {
      this.#releaseAll(true);
      return;
    }
    const held = new Map<Share, Capability[]>();
    for (const { step, member, epoch, heldBytes } of receipts) {
      if (heldBytes === 0n) continue;
      const share = this.#shares.get(keyOf({ id: member, epoch }));
      const capability = share?.capabilities.get(step);
      if (!share || !capability) continue;
      held.set(share, [...(held.get(share) ?? []), capability]);
    }
    for (const [{ member }, capabilities] of held) this.#release(member, capabilities, true);
  }

  #shareOf(member: Member): Share {
    const key = keyOf(member);
    const share = this.#shares.get(key) ?? { member, capabilities: new Map() };
    this.#shares.set(key, share);
    return share;
  }

  #releaseAll(ended: boolean): void {
    for (const { member, capabilities } of this.#shares.values())
      this.#release(member, [...capabilities.values()], ended);
  }

  #release(member: Member, capabilities: Capability[], ended: boolean): void {
    this.#kernel.release(member, { capabilities, attempt: this.#attempt, ended });
  }
}

/**
 * Joins, alternatives, handlers and maps: some of it may be waiting, running or kept when the result is there. A step that must not be done twice is
 * remembered until it is released.
 */
function leavesTraces({ gate, onFailure, map, operation }: PlannedStep): boolean {
  const isOnce = operation?.idempotent === false;
  return gate.length > 0 || onFailure.length > 0 || map !== undefined || isOnce;
}

const keyOf = ({ id, epoch }: { readonly id: string; readonly epoch: bigint }): string =>
  `${id} ${String(epoch)}`;
