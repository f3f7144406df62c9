import { randomBytes } from 'node:crypto';

import { messageOf } from '../../runtime/errors.js';
import { Stopper } from '../../runtime/stopper.js';
import type { LinkShape } from './link-shape.js';
import {
  addressOf,
  COORDINATOR_ADDRESS,
  delayCommand,
  DRIVER_ADDRESS,
  inside,
  INTERFACE,
  MAX_LINKS,
  nodeCommands,
  portOf,
  rateCommand,
  SWITCH,
  switchCommands,
} from './network-commands.js';
import { runProgram } from './program.js';

/** The namespace and the link of one node or server. */
export interface NetworkLink {
  readonly name: string;
  readonly kind: 'node' | 'zookeeper';
  readonly address: string;
  /** Name of its namespace. */
  readonly namespace: string;
  /** The other end of its link, in the switch's namespace. */
  readonly port: string;
}

/**
 * A namespace for each node, each with a link of its own to a bridge, which has a namespace too; this process is on the bridge as the driver. Lives inside the
 * private namespaces of `private-process.ts`, so that the kernel takes all of it away with the last process, whatever happens.
 */
export class PrivateNetwork implements AsyncDisposable {
  readonly driverAddress = DRIVER_ADDRESS;
  readonly coordinatorAddress = COORDINATOR_ADDRESS;
  /** Name of the namespace with the bridge. */
  readonly switchNamespace: string;
  readonly #prefix: string;
  readonly #shape: LinkShape;
  readonly #links = new Map<string, NetworkLink>();
  readonly #stopper = new Stopper();
  #withoutLatency: string | undefined;

  private constructor(shape: LinkShape) {
    this.#prefix = `fractory-${randomBytes(3).toString('hex')}`;
    this.#shape = shape;
    this.switchNamespace = `${this.#prefix}-${SWITCH}`;
  }

  /** `members`: names of nodes that have links from the start. `shape` goes for every link. */
  static async make(
    members: readonly string[] = [],
    shape: LinkShape = {},
  ): Promise<PrivateNetwork> {
    const network = new PrivateNetwork(shape);
    try {
      // The kernel takes its time with namespaces, so our own end of the link goes by itself, at once.
      network.#removeAtEnd('netns', 'delete', network.switchNamespace);
      network.#removeAtEnd('link', 'delete', INTERFACE);
      for (const command of switchCommands(network.switchNamespace)) await runProgram(command);
      for (const member of members) await network.add(member);
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Why links have no latency although one was asked for. */
  get withoutLatency(): string | undefined {
    return this.#withoutLatency;
  }

  get links(): readonly NetworkLink[] {
    return [...this.#links.values()];
  }

  /** Gives a node or a server a namespace and a link; the one that it has, if it was given one before. */
  async add(name: string, kind: NetworkLink['kind'] = 'node'): Promise<NetworkLink> {
    const known = this.#links.get(name);
    if (known) return known;
    const number = this.#links.size;
    if (number >= MAX_LINKS)
      throw new RangeError(
        `a network has room for ${String(MAX_LINKS)} links, ${name} is one too many`,
      );
    const namespace = `${this.#prefix}-${name}`;
    const link = { name, kind, namespace, address: addressOf(number), port: portOf(number) };
    this.#links.set(name, link);
    this.#removeAtEnd('netns', 'delete', namespace);
    for (const command of nodeCommands({ namespace, number }, this.switchNamespace))
      await runProgram(command);
    await this.#shapeLink(namespace);
    return link;
  }

  addressOf(member: string): string {
    return this.#linkOf(member).address;
  }

  /** What starts a program on a member's side of its link. */
  within(member: string): [program: string, ...args: string[]] {
    return ['nsenter', `--net=${namespaceFile(this.#linkOf(member).namespace)}`, '--'];
  }

  /**
   * Bytes that the nodes have sent to each other so far, as the kernel counted them on their links: what left all nodes, without what arrived at
   * the driver.
   */
  async bytesBetweenNodes(): Promise<number> {
    const looks = this.links.map(({ namespace }) => linkBytes(['-n', namespace]));
    const [sent, driver] = await Promise.all([Promise.all(looks), linkBytes([])]);
    return sent.reduce((sum, { tx }) => sum + tx, 0) - driver.rx;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopper.stop();
  }

  /** What was never made can't be removed. */
  #removeAtEnd(...args: string[]): void {
    this.#stopper.add(() => runProgram(['ip', ...args]).then(ignore, ignore));
  }

  #linkOf(member: string): NetworkLink {
    const link = this.#links.get(member);
    if (link === undefined) throw new Error(`${member} has no link`);
    return link;
  }

  /** Shapes what leaves a node. */
  async #shapeLink(namespace: string): Promise<void> {
    const { bitsPerSecond, latencyUs } = this.#shape;
    const file = namespaceFile(namespace);
    let delayed = false;
    if (latencyUs !== undefined)
      try {
        await runProgram(inside(file, delayCommand(INTERFACE, latencyUs)));
        delayed = true;
      } catch (error) {
        this.#withoutLatency = messageOf(error);
      }
    if (bitsPerSecond !== undefined)
      await runProgram(inside(file, rateCommand(INTERFACE, this.#shape, delayed)));
  }
}

/** The file that names a namespace, for processes in the same mount namespace. */
function namespaceFile(namespace: string): string {
  return `/run/netns/${namespace}`;
}

async function linkBytes(inside: readonly string[]): Promise<{ tx: number; rx: number }> {
  const text = await runProgram(['ip', ...inside, '-j', '-s', 'link', 'show', INTERFACE]);
  const [link] = JSON.parse(text) as [{ stats64: Record<'tx' | 'rx', { bytes: number }> }];
  return { tx: link.stats64.tx.bytes, rx: link.stats64.rx.bytes };
}

const ignore = (): void => undefined;
