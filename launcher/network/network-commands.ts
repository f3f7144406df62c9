import { PRIVATE_PREFIX } from '../../config/private-network.js';
import type { LinkShape } from './link-shape.js';

/** A program and its arguments. */
export type CommandLine = readonly [program: string, ...args: string[]];

/** The namespace with the bridge that all links lead to. */
export const SWITCH = 'switch';
/** The end of a node's link in its own namespace. */
export const INTERFACE = 'eth0';
export const BRIDGE = 'bridge0';

/** Address of the driver: the process that made the network, with all that it starts on its own side: commands, nodes started by hand. */
export const DRIVER_ADDRESS = `${PRIVATE_PREFIX}1`;
/** A second address of the driver, for the embedded coordinator: so that its traffic can be told from that of commands. */
export const COORDINATOR_ADDRESS = `${PRIVATE_PREFIX}2`;

const FIRST_NODE = 10;
/** Links that fit beside the driver. */
export const MAX_LINKS = 240;

/** Address of the link with this number, from 0. */
export function addressOf(number: number): string {
  return `${PRIVATE_PREFIX}${String(FIRST_NODE + number)}`;
}

/** The switch's end of the link with this number. */
export function portOf(number: number): string {
  return `port${String(number)}`;
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
    ['ip', 'address', 'add', `${COORDINATOR_ADDRESS}/24`, 'dev', INTERFACE],
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
      ...{ namespace: switchNamespace, port: portOf(number) },
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

/** Delays what leaves an interface of this namespace; fails where the kernel has no netem. */
export function delayCommand(device: string, delayUs: number): CommandLine {
  const delay = ['delay', `${String(delayUs)}us`, 'limit', DELAYED_PACKETS];
  return ['tc', 'qdisc', 'replace', 'dev', device, 'root', 'handle', '1:', 'netem', ...delay];
}

/** Limits the rate of what leaves an interface of this namespace, behind the delay where there is one. */
export function rateCommand(
  device: string,
  { bitsPerSecond = 0 }: LinkShape,
  delayed = false,
): CommandLine {
  const burst = Math.max(BURST_BYTES, Math.round((bitsPerSecond / 8) * BURST_SECONDS));
  const rate = [
    'rate',
    `${String(Math.round(bitsPerSecond))}bit`,
    'burst',
    String(burst),
    'latency',
    QUEUE,
  ];
  const place = delayed ? ['parent', '1:1', 'handle', '10:'] : ['root'];
  return ['tc', 'qdisc', 'replace', 'dev', device, ...place, 'tbf', ...rate];
}

/** Takes all shaping from an interface: then it is as it was made. */
export function plainCommand(device: string): CommandLine {
  return ['tc', 'qdisc', 'replace', 'dev', device, 'root', 'noqueue'];
}

/** The same program inside a network namespace, given by the file that names it; `as`: more options of nsenter. */
export function inside(
  namespaceFile: string,
  command: CommandLine,
  as: readonly string[] = [],
): CommandLine {
  return ['nsenter', ...as, `--net=${namespaceFile}`, '--', ...command];
}
