import { randomBytes } from 'node:crypto';

import { messageOf } from '../../../runtime/errors.js';
import { Stopper } from '../../../runtime/stopper.js';
import type { LinkShape } from './link-shape.js';
import {
  addressOf,
  DRIVER_ADDRESS,
  INTERFACE,
  latencyCommand,
  nodeCommands,
  rateCommand,
  SWITCH,
  switchCommands,
} from './network-commands.js';
import { runProgram } from './program.js';

/**
 * A namespace for each node, each with a link of its own to a bridge, which has a namespace too; this process is on the bridge as the driver. Lives inside the
 * private namespaces of `private-process.ts`, so that the kernel takes all of it away with the last process, whatever happens.
 */
export class PrivateNetwork implements AsyncDisposable {
  readonly driverAddress = DRIVER_ADDRESS;
  /** Why links have no latency although one was asked for. */
  readonly withoutLatency: string | undefined;
  readonly #namespaces: ReadonlyMap<string, string>;
  readonly #stopper: Stopper;

  private constructor(
    namespaces: ReadonlyMap<string, string>,
    withoutLatency: string | undefined,
    stopper: Stopper,
  ) {
    this.#namespaces = namespaces;
    this.withoutLatency = withoutLatency;
    this.#stopper = stopper;
  }

  /** `members`: names of nodes. */
  static async make(members: readonly string[], shape: LinkShape): Promise<PrivateNetwork> {
    const run = randomBytes(3).toString('hex');
    const stopper = new Stopper();
    const hub = `tax-${run}-${SWITCH}`;
    const namespaces = new Map(members.map((member) => [member, `tax-${run}-${member}`]));
    try {
      // What was never made can't be removed. The kernel takes its time with namespaces, so our own end of the link goes by itself, at once.
      const remove = (...args: string[]): Promise<void> =>
        runProgram(['ip', ...args]).then(ignore, ignore);
      for (const namespace of [hub, ...namespaces.values()])
        stopper.add(() => remove('netns', 'delete', namespace));
      stopper.add(() => remove('link', 'delete', INTERFACE));
      for (const command of switchCommands(hub)) await runProgram(command);
      let withoutLatency: string | undefined;
      for (const [number, namespace] of [...namespaces.values()].entries()) {
        for (const command of nodeCommands({ namespace, number }, hub)) await runProgram(command);
        withoutLatency = await shapeLink(namespace, shape);
      }
      return new PrivateNetwork(namespaces, withoutLatency, stopper);
    } catch (error) {
      await stopper.stop();
      throw error;
    }
  }

  addressOf(member: string): string {
    return addressOf([...this.#namespaces.keys()].indexOf(member));
  }

  /** What starts a program on a member's side of its link. */
  within(member: string): [program: string, ...args: string[]] {
    return ['nsenter', `--net=/run/netns/${this.#namespaceOf(member)}`, '--'];
  }

  /**
   * Bytes that the nodes have sent to each other so far, as the kernel counted them on their links: what left all nodes, without what arrived at
   * the driver.
   */
  async bytesBetweenNodes(): Promise<number> {
    const looks = [...this.#namespaces.values()].map((namespace) => linkBytes(['-n', namespace]));
    const [sent, driver] = await Promise.all([Promise.all(looks), linkBytes([])]);
    return sent.reduce((sum, { tx }) => sum + tx, 0) - driver.rx;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopper.stop();
  }

  #namespaceOf(member: string): string {
    const namespace = this.#namespaces.get(member);
    if (namespace === undefined) throw new Error(`${member} has no namespace`);
    return namespace;
  }
}

/** Shapes what leaves a node. Returns why there is no latency, where it was asked for and the kernel can't. */
async function shapeLink(namespace: string, shape: LinkShape): Promise<string | undefined> {
  const { bitsPerSecond, latencyUs } = shape;
  let withoutLatency: string | undefined;
  if (latencyUs !== undefined)
    try {
      await runProgram(latencyCommand(namespace, latencyUs));
    } catch (error) {
      withoutLatency = messageOf(error);
    }
  if (bitsPerSecond !== undefined) {
    const delayed = latencyUs !== undefined && withoutLatency === undefined;
    await runProgram(rateCommand(namespace, shape, delayed));
  }
  return withoutLatency;
}

async function linkBytes(inside: readonly string[]): Promise<{ tx: number; rx: number }> {
  const text = await runProgram(['ip', ...inside, '-j', '-s', 'link', 'show', INTERFACE]);
  const [link] = JSON.parse(text) as [{ stats64: Record<'tx' | 'rx', { bytes: number }> }];
  return { tx: link.stats64.tx.bytes, rx: link.stats64.rx.bytes };
}

const ignore = (): void => undefined;
