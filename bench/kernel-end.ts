import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerDuplexStream } from '@grpc/grpc-js';

import { ObjectTable } from '../controllers/kernel/capabilities/objects.js';
import type {
  Outcome,
  ReplyObject,
  ReplyPair,
  Use,
} from '../controllers/kernel/capabilities/objects.js';
import { allowanceOf } from '../controllers/kernel/capabilities/caveats.js';
import type { Allowance } from '../controllers/kernel/capabilities/caveats.js';
import { Directory } from '../controllers/kernel/directory.js';
import { encodeContinuation } from '../controllers/kernel/graph/continuation.js';
import { Kernel } from '../controllers/kernel/kernel.js';
import { LINK_METHOD, Links } from '../controllers/kernel/links.js';
import type { MemoryAccess } from '../controllers/kernel/memory/access.js';
import { KernelMetrics } from '../controllers/kernel/metrics.js';
import { limitsSection } from '../config/limits.js';
import type { Capability } from '../protos/gen/fractory/v1/capability.js';
import type { LinkRequest, LinkResponse } from '../protos/gen/fractory/v1/controller.js';
import { integerValue } from '../protos/values.js';
import { ChannelPool } from '../runtime/channels.js';
import { systemClock } from '../runtime/clock.js';
import { silentLogger } from '../runtime/logger.js';
import type { Operation } from '../services/adaptor.js';
import { member, MemberList } from '../test/controllers/kernel/member-list.js';

/** Gives back its input at once. */
const nothing: Operation = {
  spec: {
    ...{ name: 'bench.nothing', summary: '', idempotent: true, output: ['integer'] },
    arguments: [{ name: 'input', summary: '', kinds: ['integer'], required: true }],
  },
  perform: (args) => args.get('input') ?? {},
};

/** A table that believes every capability: neither tag nor caveats are looked at. */
class CredulousTable extends ObjectTable {
  readonly #known = new Map<bigint, Use['object']>([
    [1n, { kind: 'operation', operation: nothing }],
  ]);
  readonly #allowance: Allowance = allowanceOf([]);

  override addReply(settle: (outcome: Outcome) => void): ReplyPair {
    const pair = super.addReply(settle);
    const objects = [pair.success.object, pair.failure.object];
    const group = { objects, settle, ends: undefined };
    this.#known.set(pair.success.object, { kind: 'reply', outcome: 'succeeded', group });
    this.#known.set(pair.failure.object, { kind: 'reply', outcome: 'failed', group });
    return pair;
  }

  override settleReply(...[reply, ...rest]: Parameters<ObjectTable['settleReply']>): void {
    for (const object of (reply satisfies ReplyObject).group.objects) this.#known.delete(object);
    super.settleReply(reply, ...rest);
  }

  override use(capability: Capability): Use {
    const object = this.#known.get(capability.object);
    if (!object) throw new Error(`no object ${String(capability.object)}`);
    return { object, capability, allowance: this.#allowance };
  }
}

export type Belief = 'checks' | 'believes';

const unused = (): never => {
  throw new Error('nothing is kept here');
};
const noMemory: MemoryAccess = {
  ...{ keep: unused, stream: unused, pull: (value) => Promise.resolve(value) },
  ...{ copy: unused, write: unused, revoke: unused },
};

/** A kernel and its links, with one operation that does nothing, in a data center of two. */
export class KernelEnd {
  readonly objects: ObjectTable;
  readonly #kernel: Kernel;
  readonly #links: Links;
  readonly #list = new MemberList();
  readonly #directory = new Directory(this.#list, systemClock);
  readonly #channels = new ChannelPool();
  readonly #server = new Server();

  constructor(id: string, belief: Belief) {
    const log = silentLogger();
    const Table = belief === 'checks' ? ObjectTable : CredulousTable;
    this.objects = new Table(id, () => [nothing]);
    this.objects.begin(1n);
    this.#kernel = new Kernel({
      ...{ member: id, objects: this.objects, memory: noMemory, clock: systemClock, log },
      limits: limitsSection.parse({}),
      metrics: new KernelMetrics({ data_center: 'bench', member: id, type: 'bench' }),
      checkLeadership: () => undefined,
    });
    this.#links = new Links({
      ...{ dataCenter: 'bench', member: id, directory: this.#directory, log },
      ...{ channels: this.#channels, epoch: () => 1n, onRelease: () => undefined },
      onInvocation: (invocation, link) => {
        try {
          this.#kernel.admit(invocation);
          link.admit(invocation.id);
        } catch (error) {
          link.refuse(invocation.id, error);
        }
      },
    });
    this.#kernel.attach(this.#links);
  }

  async listen(): Promise<number> {
    this.#server.addService(
      { link: LINK_METHOD },
      {
        link: (stream: ServerDuplexStream<LinkRequest, LinkResponse>) => {
          this.#links.accept(stream);
        },
      },
    );
    return new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
  }

  /** Who is there, by port. */
  meet(members: Readonly<Record<string, number>>): void {
    this.#list.set(
      ...Object.entries(members).map(([id, port]) =>
        member(id, { address: `127.0.0.1:${String(port)}` }),
      ),
    );
  }

  /** Invokes an operation of the other end; resolves when its result has come to a reply here. */
  roundTrip(capability: Capability): Promise<void> {
    return new Promise((resolve, reject) => {
      const reply = this.objects.addReply((outcome) => {
        if (outcome.kind === 'succeeded') resolve();
        else reject(new Error(outcome.failure.message));
      });
      const invocation = {
        ...{ id: 0n, capability, receipts: [], shared: [], hops: 0, sentAtUs: 0n },
        ...{ traceparent: '', attempt: 0, retries: 0, budgetMs: 60_000 },
        arguments: [{ name: 'input', value: integerValue(1n) }],
        onSuccess: [encodeContinuation(reply.success, 'result')],
        onFailure: [encodeContinuation(reply.failure, 'failure')],
      };
      this.#kernel.dispatch(invocation, (error) => {
        if (error) reject(error);
      });
    });
  }

  close(): void {
    this.#links.close();
    this.#directory.close();
    this.#channels.close();
    this.#server.forceShutdown();
  }
}
