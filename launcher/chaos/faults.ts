import { cancelled, messageOf } from '../../runtime/errors.js';
import type { Experiment } from './experiment.js';
import { FaultKind, PASSING } from './fault-kind.js';
import type { LinkFaults, Party, Slowness } from './link-faults.js';
import type { Observer } from './observer.js';
import type { ProcessFaults } from './process-faults.js';
import { ZOOKEEPER } from './targets.js';
import type { Target } from './targets.js';

/** What is to be done to a target. */
export type FaultPlan =
  | { readonly kind: Exclude<FaultKind, 'slow' | 'partition'> }
  | { readonly kind: 'slow'; readonly how: Slowness }
  | {
      readonly kind: 'partition';
      readonly from?: readonly Party[] | undefined;
      readonly oneWay?: boolean | undefined;
    };

/** A fault that is in force. */
export interface StandingFault {
  readonly fault: number;
  readonly kind: FaultKind;
  readonly target: Target;
  /** Of a fault on links. */
  readonly linkFault?: string;
}

interface Parts {
  readonly processes: ProcessFaults;
  readonly links: () => Promise<LinkFaults>;
  readonly observer: Observer;
}

/** Does faults to members and undoes them, and writes both down. */
export class Faults {
  readonly #experiment: Experiment;
  readonly #parts: Parts;
  readonly #standing = new Map<number, StandingFault>();
  /** When disks were full, ms of the experiment. */
  readonly #fullDisks: { readonly fault: number; untilMs: number }[] = [];
  readonly #beginning = new Set<Promise<StandingFault>>();
  #over = false;
  #number = 0;

  constructor(experiment: Experiment, parts: Parts) {
    this.#experiment = experiment;
    this.#parts = parts;
  }

  /** Those that are to be healed. */
  get standing(): readonly StandingFault[] {
    return [...this.#standing.values()];
  }

  /** Resolves when it is done. What it throws has not been done. CANCELLED after `healAll`. */
  begin(plan: FaultPlan, target: Target): Promise<StandingFault> {
    if (this.#over) return Promise.reject(cancelled('the experiment is over'));
    const begun = this.#begin(plan, target).finally(() => this.#beginning.delete(begun));
    this.#beginning.add(begun);
    return begun;
  }

  async #begin(plan: FaultPlan, target: Target): Promise<StandingFault> {
    const fault = ++this.#number;
    const { kind } = plan;
    const { name, type, leader, member } = target;
    // What is seen of it can't come before it, and looking for the process isn't part of it.
    let atMs = this.#experiment.now();
    const acting = (): void => {
      atMs = this.#experiment.now();
      if (kind === 'fill-disk') this.#fullDisks.push({ fault, untilMs: Number.POSITIVE_INFINITY });
    };
    const linkFault = await this.#apply(plan, name, acting);
    this.#experiment.record({
      ...{ event: 'fault', atMs, fault, kind, target: name, type, leader },
      ...(member && { epoch: String(member.epoch) }),
      ...detailOf(plan),
    });
    const standing = { fault, kind, target, ...(linkFault !== undefined && { linkFault }) };
    if (!PASSING.has(kind)) this.#standing.set(fault, standing);
    if (member && kind !== 'fill-disk') void this.#parts.observer.watchLoss(fault, member);
    if (member && PASSING.has(kind)) void this.#parts.observer.watchReturn(fault, member);
    if (type === ZOOKEEPER && PASSING.has(kind)) void this.#parts.observer.watchServer(fault, name);
    return standing;
  }

  /** Ends a fault. Idempotent; that of a process that is gone is over anyway. */
  async heal(standing: StandingFault): Promise<void> {
    const { fault, target, linkFault } = standing;
    if (!this.#standing.delete(fault)) return;
    const { processes, links } = this.#parts;
    try {
      if (linkFault !== undefined) await (await links()).heal([linkFault]);
      else await processes.heal(target.name);
    } catch (error) {
      this.#standing.set(standing.fault, standing);
      throw error;
    }
    this.#experiment.record({ event: 'healed', fault });
    const full = this.#fullDisks.find((one) => one.fault === fault);
    if (full) full.untilMs = this.#experiment.now();
  }

  /** Ends all that stands, and what is just being done; nothing can be begun any more. Tells what it could not end. */
  async healAll(): Promise<void> {
    this.#over = true;
    await Promise.allSettled(this.#beginning);
    const outcomes = await Promise.allSettled(this.standing.map((one) => this.heal(one)));
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        this.#experiment.record({ event: 'note', text: messageOf(outcome.reason) });
  }

  diskFullSince(atMs: number): boolean {
    return this.#fullDisks.some(({ untilMs }) => untilMs >= atMs);
  }

  async #apply(plan: FaultPlan, name: string, acting: () => void): Promise<string | undefined> {
    const { processes, links } = this.#parts;
    switch (plan.kind) {
      case FaultKind.kill:
        await processes.kill(name, acting);
        return undefined;
      case FaultKind.pause:
        await processes.pause(name, acting);
        return undefined;
      case FaultKind.expireSession:
        await processes.expireSession(name, acting);
        return undefined;
      case FaultKind.fillDisk:
        await processes.fillDisk(name, acting);
        return undefined;
      case FaultKind.slow:
        return (await (await links()).slow(name, plan.how)).id;
      case FaultKind.partition: {
        const { from, oneWay } = plan;
        return (await (await links()).partition({ members: [name], from, oneWay })).id;
      }
    }
  }
}

function detailOf(plan: FaultPlan): { readonly detail?: string } {
  if (plan.kind === 'slow') return { detail: describeSlowness(plan.how) };
  if (plan.kind !== 'partition') return {};
  const from = plan.from?.length ? `from ${plan.from.join(', ')}` : 'from all';
  return { detail: plan.oneWay ? `${from}, one way` : from };
}

function describeSlowness({ bitsPerSecond, delayMs, loss }: Slowness): string {
  return [
    ...(bitsPerSecond === undefined ? [] : [`${String(bitsPerSecond / 1e6)} Mbit/s`]),
    ...(delayMs === undefined ? [] : [`${String(delayMs)} ms later`]),
    ...(loss === undefined ? [] : [`${String(Math.round(100 * loss))} % lost`]),
  ].join(', ');
}
