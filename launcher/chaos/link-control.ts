import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf } from '../../runtime/errors.js';
import { userOptions } from '../network/inside-run.js';
import {
  BRIDGE,
  delayCommand,
  inside,
  INTERFACE,
  plainCommand,
  rateCommand,
} from '../network/network-commands.js';
import type { CommandLine } from '../network/network-commands.js';
import { runProgram } from '../network/program.js';
import type { RecordedNetwork } from '../run-file.js';
import type { LinkAbilities, LinkFault, Slowness } from './link-faults.js';
import { dropsPackets, linkRules } from './link-rules.js';

/** Makes the links of a data center as faults want them, in the namespaces of its launcher, which this process need not be in. */
export class LinkControl {
  readonly #network: RecordedNetwork;
  readonly #launcherPid: number;

  constructor(network: RecordedNetwork, launcherPid: number) {
    this.#network = network;
    this.#launcherPid = launcherPid;
  }

  async abilities(): Promise<LinkAbilities> {
    const member = this.#network.links[0]?.name ?? '';
    const rules = linkRules([{ kind: 'slow', id: '', member, loss: 0.5 }], this.#network);
    const cut = await complaintOf(this.#inSwitch(['nft', '--check', rules]));
    // The bridge itself carries no packets, so shaping does no harm there.
    const rate = await complaintOf(this.#inSwitch(rateCommand(BRIDGE, { bitsPerSecond: 1e9 })));
    const delay = await complaintOf(this.#inSwitch(delayCommand(BRIDGE, 1)));
    await this.#inSwitch(plainCommand(BRIDGE));
    return { cut, rate, delay };
  }

  /** From now on packets are dropped for these faults, and for no others. */
  async drop(faults: readonly LinkFault[]): Promise<void> {
    try {
      await this.#inSwitch(['nft', linkRules(faults, this.#network)]);
    } catch (error) {
      // Without the program there was never anything in force.
      const missing = error instanceof FractoryError && error.reason === 'PROGRAM_MISSING';
      if (!missing || faults.some(dropsPackets)) throw error;
    }
  }

  /** What the member sends, and what the switch sends to it, is as slow as this; as at first without. */
  async shape(member: string, { bitsPerSecond, delayMs }: Slowness = {}): Promise<void> {
    const link = this.#network.links.find(({ name }) => name === member);
    if (!link) return;
    const inNode = (command: CommandLine): Promise<string> =>
      this.#inNamespace(link.namespace, command);
    await inNode(plainCommand(INTERFACE));
    await this.#inSwitch(plainCommand(link.port));
    if (delayMs !== undefined)
      await inNode(delayCommand(INTERFACE, Math.round(delayMs * 1000))).catch((error: unknown) => {
        throw cantDelay(error);
      });
    if (bitsPerSecond === undefined) return;
    await inNode(rateCommand(INTERFACE, { bitsPerSecond }, delayMs !== undefined));
    await this.#inSwitch(rateCommand(link.port, { bitsPerSecond }));
  }

  #inSwitch(command: CommandLine): Promise<string> {
    return this.#inNamespace(this.#network.switchNamespace, command);
  }

  async #inNamespace(namespace: string, command: CommandLine): Promise<string> {
    const pid = this.#launcherPid;
    const file = `/proc/${String(pid)}/root/run/netns/${namespace}`;
    return runProgram(inside(file, command, await userOptions(pid)));
  }
}

async function complaintOf(attempt: Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt;
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function cantDelay(error: unknown): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'DELAY_NOT_POSSIBLE',
    `this kernel can't delay packets (netem); a rate or a loss slows a link too: ${messageOf(error)}`,
    { cause: error },
  );
}
