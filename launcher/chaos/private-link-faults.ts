import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument } from '../../runtime/errors.js';
import type { RecordedNetwork, RunRecord } from '../run-file.js';
import { FaultFolder } from './fault-folder.js';
import type {
  Cut,
  LinkAbilities,
  LinkFault,
  LinkFaults,
  Party,
  Slow,
  Slowness,
} from './link-faults.js';
import { GROUPS } from './link-faults.js';
import { LinkControl } from './link-control.js';
import { checkNames, dropsPackets, sidesOf } from './link-rules.js';

const MIN_BITS_PER_SECOND = 8000;
const MAX_BITS_PER_SECOND = 100e9;
const MAX_DELAY_MS = 60_000;
/** Others may change faults so often while ours are put in force. */
const MAX_ATTEMPTS = 20;

/** What has to be put in force again after a change. */
interface Touched {
  readonly members: readonly string[];
  /** What the switch drops. */
  readonly drops: boolean;
}

/**
 * Faults in the namespaces of another process, which this one need not be in. Files say what is to be in force; whoever changes one puts what all
 * of them say in force, until that is what they say: so two at the same time end right, without a lock.
 */
export class PrivateLinkFaults implements LinkFaults {
  readonly #network: RecordedNetwork;
  readonly #folder: FaultFolder;
  readonly #control: LinkControl;

  constructor(statePath: string, { launcher }: RunRecord, network: RecordedNetwork) {
    this.#network = network;
    this.#folder = new FaultFolder(statePath);
    this.#control = new LinkControl(network, launcher.pid);
  }

  get names(): readonly string[] {
    return this.#network.links.map(({ name }) => name);
  }

  abilities(): Promise<LinkAbilities> {
    return this.#control.abilities();
  }

  async partition({
    members,
    from,
    oneWay = false,
  }: Parameters<LinkFaults['partition']>[0]): Promise<Cut> {
    if (members.length === 0) throw invalidArgument('members', 'name at least one member');
    checkNames('members', members, this.names);
    checkNames('from', from ?? [], [...this.names, ...GROUPS]);
    const parties = { members: sorted(members), ...(from && { from: sorted(from) }), oneWay };
    const cut: Cut = { kind: 'cut', id: cutId(parties), ...parties };
    if (sidesOf(cut, this.#network)[1].length === 0)
      throw invalidArgument('from', `there is nobody to cut ${members.join(', ')} from`);
    await this.#apply(cut);
    return cut;
  }

  async slow(member: string, how: Slowness): Promise<Slow> {
    checkNames('member', [member], this.names);
    checkSlowness(how);
    const { bitsPerSecond, delayMs, loss } = how;
    const fault: Slow = {
      ...{ kind: 'slow', id: `slow-${member}`, member },
      ...(bitsPerSecond !== undefined && { bitsPerSecond }),
      ...(delayMs !== undefined && { delayMs }),
      ...(loss !== undefined && { loss }),
    };
    await this.#apply(fault);
    return fault;
  }

  async heal(members?: readonly string[]): Promise<readonly LinkFault[]> {
    const faults = await this.#folder.list();
    const known = [...this.names, ...GROUPS, ...faults.map(({ id }) => id)];
    checkNames(
      'members',
      (members ?? []).filter((name) => !isId(name)),
      known,
    );
    const over = faults.filter((fault) => !members || members.some((name) => isAbout(fault, name)));
    for (const fault of over) await this.#folder.take(fault);
    // All: also what a killed process left in force without a file.
    await this.#enforce(members ? touchedBy(over) : { members: this.names, drops: true });
    return over;
  }

  list(): Promise<readonly LinkFault[]> {
    return this.#folder.list();
  }

  /** Leaves everything as it was if it can't be done. */
  async #apply(fault: LinkFault): Promise<void> {
    const before = (await this.#folder.list()).find(({ id }) => id === fault.id);
    await this.#folder.put(fault);
    const touched = touchedBy(before ? [before, fault] : [fault]);
    try {
      await this.#enforce(touched);
    } catch (error) {
      if (before) await this.#folder.put(before);
      else await this.#folder.take(fault);
      // What can't be mended either is told by the first error.
      await this.#enforce(touched).catch(() => undefined);
      throw error;
    }
  }

  async #enforce(touched: Touched): Promise<void> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const faults = await this.#folder.list();
      if (touched.drops) await this.#control.drop(faults);
      await Promise.all(
        touched.members.map((member) =>
          this.#control.shape(
            member,
            faults.find((fault): fault is Slow => fault.kind === 'slow' && fault.member === member),
          ),
        ),
      );
      if (isDeepStrictEqual(await this.#folder.list(), faults)) return;
    }
    throw new FractoryError(
      status.ABORTED,
      'FAULTS_CONTESTED',
      `others change link faults faster than they can be put in force (${String(MAX_ATTEMPTS)} attempts)`,
    );
  }
}

function sorted(names: readonly Party[]): string[] {
  return [...new Set(names)].sort();
}

function cutId({ members, from, oneWay }: Omit<Cut, 'id' | 'kind'>): string {
  const parts = JSON.stringify([members, from, oneWay]);
  return `cut-${createHash('sha256').update(parts).digest('hex').slice(0, 8)}`;
}

function isId(name: string): boolean {
  return /^(cut-[0-9a-f]{8}|slow-.+)$/.test(name);
}

function isAbout(fault: LinkFault, name: string): boolean {
  if (fault.id === name) return true;
  if (fault.kind === 'slow') return fault.member === name;
  return fault.members.includes(name) || (fault.from?.includes(name) ?? false);
}

function touchedBy(faults: readonly LinkFault[]): Touched {
  const slow = faults.filter((fault) => fault.kind === 'slow');
  return { members: sorted(slow.map(({ member }) => member)), drops: faults.some(dropsPackets) };
}

function checkSlowness({ bitsPerSecond, delayMs, loss }: Slowness): void {
  const within = (field: string, value: number | undefined, least: number, most: number): void => {
    if (value !== undefined && !(value >= least && value <= most))
      throw invalidArgument(
        field,
        `${String(value)} is not from ${String(least)} to ${String(most)}`,
      );
  };
  if (bitsPerSecond === undefined && delayMs === undefined && loss === undefined)
    throw invalidArgument('slow', 'give a rate, a delay or a loss');
  within('rate', bitsPerSecond, MIN_BITS_PER_SECOND, MAX_BITS_PER_SECOND);
  within('delay', delayMs, 0.001, MAX_DELAY_MS);
  within('loss', loss, 1e-6, 1);
}
