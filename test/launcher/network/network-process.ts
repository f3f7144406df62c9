import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { ownNamespace } from '../../../launcher/network/private-process.js';
import { inside } from '../../../launcher/network/network-commands.js';
import type { CommandLine } from '../../../launcher/network/network-commands.js';
import type { RecordedNetwork } from '../../../launcher/run-file.js';

const run = promisify(execFile);

/** Why there can be no links here, or none that can be cut. */
export function noLinks(): string | false {
  if (process.getuid?.() !== 0) return 'it needs root';
  const script =
    'mount -t tmpfs tmpfs /run && ip netns add a && nft "add table bridge a" && tc -V >/dev/null';
  const makes = ['--net', '--mount', 'sh', '-c', script];
  const { status, stderr, error } = spawnSync('unshare', makes, { encoding: 'utf8' });
  return status === 0
    ? false
    : `no namespaces, iproute2 or nftables: ${error?.message ?? stderr.trim()}`;
}

/** A process with a private network: links for `a`, `b`, `c` and the server `zookeeper-1`. It ends with this fixture, or with us. */
export class NetworkProcess implements AsyncDisposable {
  readonly pid: number;
  readonly network: RecordedNetwork;
  readonly #end: () => Promise<void>;

  private constructor(pid: number, network: RecordedNetwork, end: () => Promise<void>) {
    this.pid = pid;
    this.network = network;
    this.#end = end;
  }

  static async start(): Promise<NetworkProcess> {
    const script = fileURLToPath(new URL('./network-process-main.js', import.meta.url));
    const args = ['--net', '--mount', process.execPath, script, await ownNamespace()];
    const child = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const [line] = (await Promise.race([
      once(child.stdout, 'data'),
      ended.then(() => Promise.reject(new Error('the network could not be made'))),
    ])) as [Buffer];
    const network = JSON.parse(line.toString()) as RecordedNetwork;
    return new NetworkProcess(child.pid ?? 0, network, async () => {
      child.stdin.end();
      await ended;
    });
  }

  addressOf(name: string): string {
    return this.#link(name).address;
  }

  /** What starts a program in a namespace. */
  within(name: string): [program: string, ...args: string[]] {
    const [program, ...args] = this.#inside(this.#link(name).namespace, ['']);
    return [program, ...args.slice(0, -1)];
  }

  /** How many packets the switch has dropped under the rules of now. */
  async dropped(): Promise<number> {
    const [program, ...args] = this.#inside(this.network.switchNamespace, [
      'nft',
      'list',
      'ruleset',
    ]);
    const { stdout } = await run(program, args, { timeout: 5000 });
    const counts = [...stdout.matchAll(/ counter packets (\d+) /g)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#end();
  }

  #inside(namespace: string, command: CommandLine): CommandLine {
    return inside(`/proc/${String(this.pid)}/root/run/netns/${namespace}`, command);
  }

  #link(name: string): RecordedNetwork['links'][number] {
    const link = this.network.links.find((one) => one.name === name);
    if (!link) throw new Error(`no link ${name}`);
    return link;
  }
}
