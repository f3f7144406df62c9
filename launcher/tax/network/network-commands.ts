import type { LinkShape } from './link-shape.js';

/** A program and its arguments. */
export type CommandLine = readonly [program: string, ...args: string[]];

/** The namespace with the bridge that all links lead to. */
export const SWITCH = 'switch';
/** The end of a node's link in its own namespace. */
export const INTERFACE = 'eth0';
const BRIDGE = 'bridge0';
const NETWORK = '10.231.0';

/** Address of the driver: the process that measures, with the coordinator in it. */
export const DRIVER_ADDRESS = `${NETWORK}.1`;

/** Address of the node with this number, from 0. */
export function addressOf(node: number): string {
  return `${NETWORK}.${String(10 + node)}`;
}

/**
 * Bytes that may leave at once, at full speed: few, so that a payload of 1 MiB can't pass on credit, and more than a packet, so that the rate is
 * reached. Measured at 1 Gbit/s: 0.95 Gbit/s of payload, which is all that headers leave.
 */
const BURST_BYTES = 32 * 1024;
/** A faster link needs more between two timer ticks: this much time at its rate. */
const BURST_SECONDS = 100e-6;
/** How long a packet may wait in the queue of a link before it is dropped. */
const QUEUE = '100ms';
/** Packets on the way through the delay. */
const DELAYED_PACKETS = '100000';

/** Puts the bridge into a namespace of its own and a link to it into ours. */
export function switchCommands(namespace: string): CommandLine[] {
  return [
    ['ip', 'link', 'set', 'lo', 'up'],
    ['ip', 'netns', 'add', namespace],
    ['ip', '-n', namespace, 'link', 'add', 'name', BRIDGE, 'type', 'bridge'],
    ['ip', '-n', namespace, 'link', 'set', BRIDGE, 'up'],
    ...linkCommands([], DRIVER_ADDRESS, { namespace, port: 'driver' }),
  ];
}

/** A namespace for one node, with a link to the bridge. */
export function nodeCommands(
  node: { readonly namespace: string; readonly number: number },
  switchNamespace: string,
): CommandLine[] {
  const { namespace, number } = node;
  const inside = ['-n', namespace];
  return [
    ['ip', 'netns', 'add', namespace],
    ['ip', ...inside, 'link', 'set', 'lo', 'up'],
    ...linkCommands(inside, addressOf(number), {
      ...{ namespace: switchNamespace, port: `port${String(number)}` },
    }),
  ];
}

function linkCommands(
  inside: readonly string[],
  address: string,
  far: { readonly namespace: string; readonly port: string },
): CommandLine[] {
  const peer = ['peer', 'name', far.port, 'netns', far.namespace];
  return [
    ['ip', ...inside, 'link', 'add', INTERFACE, 'type', 'veth', ...peer],
    ['ip', ...inside, 'address', 'add', `${address}/24`, 'dev', INTERFACE],
    ['ip', ...inside, 'link', 'set', INTERFACE, 'up'],
    ['ip', '-n', far.namespace, 'link', 'set', far.port, 'master', BRIDGE, 'up'],
  ];
}

/** Delays what leaves a node; fails where the kernel has no netem. */
export function latencyCommand(namespace: string, latencyUs: number): CommandLine {
  const delay = ['delay', `${String(latencyUs)}us`, 'limit', DELAYED_PACKETS];
  return [...qdisc(namespace), 'root', 'handle', '1:', 'netem', ...delay];
}

/** Limits the rate of what leaves a node, behind the delay where there is one. */
export function rateCommand(
  namespace: string,
  { bitsPerSecond = 0 }: LinkShape,
  delayed: boolean,
): CommandLine {
  const burst = Math.max(BURST_BYTES, Math.round((bitsPerSecond / 8) * BURST_SECONDS));
  const rate = ['rate', `${String(bitsPerSecond)}bit`, 'burst', String(burst), 'latency', QUEUE];
  const place = delayed ? ['parent', '1:1', 'handle', '10:'] : ['root'];
  return [...qdisc(namespace), ...place, 'tbf', ...rate];
}

function qdisc(namespace: string): CommandLine {
  return ['tc', '-n', namespace, 'qdisc', 'add', 'dev', INTERFACE];
}
