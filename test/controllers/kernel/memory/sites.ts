import { limitsSection } from '../../../../config/limits.js';
import type { Limits } from '../../../../config/limits.js';
import type { SecurityConfig } from '../../../../config/node-config.js';
import { capabilityHandlers } from '../../../../controllers/kernel/capabilities/handlers.js';
import { ObjectTable } from '../../../../controllers/kernel/capabilities/objects.js';
import { Directory } from '../../../../controllers/kernel/directory.js';
import type { KeptMemory, KeepOptions } from '../../../../controllers/kernel/memory/access.js';
import { BufferContent } from '../../../../controllers/kernel/memory/buffer-content.js';
import { NodeMemory } from '../../../../controllers/kernel/memory/node-memory.js';
import { KernelMetrics } from '../../../../controllers/kernel/metrics.js';
import { Security } from '../../../../controllers/kernel/security.js';
import { NodeServer } from '../../../../controllers/kernel/server.js';
import { ControllerServiceService } from '../../../../protos/gen/fractory/v1/controller.js';
import { bytesValue } from '../../../../protos/values.js';
import { ChannelPool } from '../../../../runtime/channels.js';
import { systemClock } from '../../../../runtime/clock.js';
import type { Clock } from '../../../../runtime/clock.js';
import { silentLogger } from '../../../../runtime/logger.js';
import type { Member } from '../../../../zookeeper/coordinator.js';
import { assert } from '../../../suite.js';
import { member, MemberList } from '../member-list.js';

export interface SitesOptions {
  readonly limits?: Partial<Limits>;
  readonly security?: SecurityConfig;
  readonly clock?: Clock;
}

export const form = bytesValue('application/octet-stream', new Uint8Array(0));

/** Bytes that tell where they stand. */
export function pattern(sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  for (let at = 0; at < sizeBytes; at++) bytes[at] = (at * 31 + (at >> 8)) & 255;
  return bytes;
}

/** One controller's memories behind its real servers. */
export class Site {
  readonly id: string;
  readonly objects: ObjectTable;
  readonly memory: NodeMemory;
  readonly metrics: KernelMetrics;
  readonly directory: Directory;
  member: Member;
  readonly #channels: ChannelPool;
  readonly #server = new NodeServer(process.cwd());

  constructor(id: string, list: MemberList, options: SitesOptions) {
    const limits = { ...limitsSection.parse({}), ...options.limits };
    const [clock, log] = [options.clock ?? systemClock, silentLogger()];
    this.id = id;
    this.member = member(id);
    this.objects = new ObjectTable(id, () => [], { clock, limits });
    this.objects.begin(this.member.epoch);
    this.directory = new Directory(list, systemClock);
    this.metrics = new KernelMetrics({ data_center: 'test', member: id, type: 'test' });
    const security = new Security(options.security ?? { mode: 'open' }, 'f'.repeat(64), id);
    this.#channels = new ChannelPool({
      credentials: security.channelCredentials(),
      interceptors: [security.interceptor()],
    });
    this.memory = new NodeMemory({
      ...{ dataCenter: 'test', member: id, objects: this.objects, directory: this.directory },
      ...{ channels: this.#channels, security, limits, clock, log, metrics: this.metrics },
    });
    const handlers = { ...this.memory.handlers, ...capabilityHandlers(this.objects) };
    this.#server.add(
      { definition: ControllerServiceService, handlers },
      {
        ...{ log, defaultBudgetMs: 10_000, maxBudgetMs: 10_000 },
        ...{ stopping: new AbortController().signal, check: () => undefined },
        ended: () => undefined,
      },
    );
  }

  async start(security: SecurityConfig = { mode: 'open' }): Promise<Member> {
    const dataAddress = await this.memory.start('127.0.0.1');
    const port = await this.#server.start(
      '127.0.0.1',
      0,
      new Security(security, 'f'.repeat(64), this.id),
    );
    this.member = member(this.id, { address: `127.0.0.1:${String(port)}`, dataAddress });
    return this.member;
  }

  keep(
    bytes: Uint8Array,
    options: Partial<KeepOptions> & { sha256?: Uint8Array } = {},
  ): KeptMemory {
    const content = new BufferContent(bytes, {
      writable: options.writable ?? false,
      ...(options.sha256 ? { sha256: options.sha256 } : {}),
    });
    return this.memory.access.keep(content, form, {
      ...{ client: 'test', leaseMs: Infinity },
      ...options,
    });
  }

  /** Like the death of the process: connections break, and no more are accepted. */
  async die(): Promise<void> {
    await this.memory.stop();
    await this.#server.stop(0);
  }

  async stop(): Promise<void> {
    const left = this.objects.size;
    await this.die();
    this.directory.close();
    this.#channels.close();
    const { own, connections } = this.memory;
    assert.is(left, 0, `${this.id} has objects left`);
    assert.equal([own.count, own.bytes, own.clients], [0, 0, 0], `${this.id} has memories left`);
    assert.equal(connections, { served: 0, dialled: 0, waiting: 0 });
  }
}

/** Some sites in one data center. Disposing them asserts that nothing is left behind. */
export class Sites {
  readonly list = new MemberList();
  readonly all: Site[] = [];

  static async start(count: number, options: SitesOptions = {}): Promise<Sites> {
    const sites = new Sites();
    for (let number = 1; number <= count; number++) {
      const site = new Site(`math-${String(number)}`, sites.list, options);
      sites.all.push(site);
      await site.start(options.security);
    }
    sites.list.set(...sites.all.map((site) => site.member));
    return sites;
  }

  at(index: number): Site {
    return this.all[index]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const site of this.all) await site.stop();
    assert.is(this.list.listeners, 0);
  }
}

/** All chunks in one. */
export async function gathered(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(Uint8Array.from(chunk));
  return Buffer.concat(parts);
}

export const never = new AbortController().signal;
