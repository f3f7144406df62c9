import { limitsSection } from '../../../config/limits.js';
import type { Limits } from '../../../config/limits.js';
import { encodeContinuation } from '../../../controllers/kernel/graph/continuation.js';
import { Kernel } from '../../../controllers/kernel/kernel.js';
import { KernelMetrics } from '../../../controllers/kernel/metrics.js';
import { ObjectTable } from '../../../controllers/kernel/capabilities/objects.js';
import type { Outcome, ReplyPair } from '../../../controllers/kernel/capabilities/objects.js';
import { narrow } from '../../../controllers/kernel/capabilities/token.js';
import { Memories } from '../../../controllers/kernel/memory/memories.js';
import { OwnMemories } from '../../../controllers/kernel/memory/own-memories.js';
import type { RemoteMemories } from '../../../controllers/kernel/memory/remote-memories.js';
import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { Caveat } from '../../../protos/gen/fractory/v1/caveat.js';
import { Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import { Receipt } from '../../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { toFractoryError } from '../../../protos/status.js';
import { integerValue } from '../../../protos/values.js';
import { ManualClock } from '../../../runtime/clock.js';
import { unavailable } from '../../../runtime/errors.js';
import type { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { noTracer } from '../../../runtime/tracing/tracer.js';
import type { Arguments, Operation } from '../../../services/adaptor.js';
import { assert } from '../../suite.js';

export type Perform = Operation['perform'];

/** An operation that takes `input` and, if it is given, `by`. */
export function operation(name: string, perform: Perform): Operation {
  const anything = ['integer', 'text', 'bytes', 'failure'] as const;
  return {
    spec: {
      ...{ name, summary: '', idempotent: true, output: ['integer'] },
      arguments: [
        { name: 'input', summary: '', kinds: anything, required: true },
        { name: 'by', summary: '', kinds: ['integer'], required: false },
      ],
    },
    perform,
  };
}

/** The integer that an argument holds. */
export function integerOf(args: Arguments, name = 'input'): bigint {
  const kind = args.get(name)?.kind;
  if (kind?.$case !== 'integer') throw new Error(`${name} is not an integer`);
  return BigInt(kind.value);
}

/** input + 1 */
export const increment = operation('math.add', (args) => integerValue(integerOf(args) + 1n));

/** One kernel and what it owns. */
export interface Place {
  readonly kernel: Kernel;
  readonly objects: ObjectTable;
  readonly own: OwnMemories;
  readonly memory: Memories;
  /** Objects at the beginning: those of its operations. */
  readonly rootObjects: number;
}

export interface Reply extends ReplyPair {
  readonly outcome: Promise<Outcome>;
  /** How often it was settled. */
  readonly settled: () => number;
}

/** Kernels on one clock, joined by a carrier in memory. Disposing it asserts that nothing is left behind. */
export class Kernels {
  readonly clock = new ManualClock();
  readonly limits: Limits;
  /** Invocations that the carrier has carried. */
  readonly carried: Invocation[] = [];
  /** Members that no longer answer. */
  readonly lost = new Set<string>();
  readonly #places = new Map<string, Place>();

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...limitsSection.parse({}), ...limits };
  }

  add(member: string, operations: readonly Operation[], epoch = 7n, tracer = noTracer): Place {
    const { clock, limits } = this;
    const objects = new ObjectTable(member, () => operations, { clock, limits });
    objects.begin(epoch);
    const own = new OwnMemories({ objects, limits, clock, log: silentLogger() });
    const memory = new Memories({ member, objects, own, remote: this.#remote() });
    const kernel = new Kernel({
      ...{ member, objects, memory, limits, clock, log: silentLogger() },
      metrics: new KernelMetrics({ data_center: 'test', member, type: 'math' }),
      checkLeadership: () => undefined,
      tracer,
    });
    kernel.attach({
      invoke: (owner, invocation, settle) => {
        const sent = Invocation.decode(Invocation.encode(invocation).finish());
        this.carried.push(sent);
        setImmediate(() => {
          settle(this.#deliver(owner.id, sent));
        });
      },
      release: ({ id }, release) => {
        this.#places.get(id)?.kernel.release(release);
      },
    });
    const place = { kernel, objects, own, memory, rootObjects: objects.size };
    this.#places.set(member, place);
    return place;
  }

  place(member: string): Place {
    return this.#places.get(member)!;
  }

  /** The root capability of an operation, narrowed. */
  capability(member: string, name: string, caveat: Partial<Caveat> = {}): Capability {
    const root = this.place(member).objects.roots.get(name)!;
    if (Object.keys(caveat).length === 0) return root;
    return narrow(root, caveat);
  }

  /** Starts one head from a member, as an application node starts a run. */
  begin(member: string, head: Uint8Array, value: Value | undefined, reply: ReplyPair): void {
    this.place(member).kernel.continueWith([head], value, {
      ...{ shared: [], deadlineMs: this.clock.now() + 5000, traceparent: '', attempt: 1 },
      onFailure: [encodeContinuation(reply.failure, 'failure')],
    });
  }

  narrowed(capability: Capability, caveat: Partial<Caveat>): Capability {
    return narrow(capability, caveat);
  }

  /** Stops a kernel without grace. */
  async stop(member: string): Promise<void> {
    const stopped = this.place(member).kernel.stop(0);
    this.clock.advance(0);
    await stopped;
  }

  /** Tells a member that a run has ended. */
  release(member: string, capability: Capability, attempt = 1): void {
    this.place(member).kernel.release({ capabilities: [capability], attempt, ended: true });
  }

  reply(member: string, ends?: readonly string[]): Reply {
    let count = 0;
    let resolve: (outcome: Outcome) => void = () => undefined;
    const outcome = new Promise<Outcome>((done) => (resolve = done));
    const pair = this.place(member).objects.addReply((settled) => {
      count++;
      resolve(settled);
    }, ends);
    return { ...pair, outcome, settled: () => count };
  }

  /** Nests capabilities into one invocation that ends at the reply. */
  chain(
    capabilities: readonly Capability[],
    reply: ReplyPair,
    input: Value = integerValue(0n),
    fields: Partial<Invocation> = {},
  ): Invocation {
    let onSuccess = [encodeContinuation(reply.success, 'result')];
    for (const capability of capabilities.slice(1).reverse())
      onSuccess = [encodeContinuation(capability, 'input', onSuccess)];
    return {
      ...{ id: 0n, capability: capabilities[0], budgetMs: 10_000, receipts: [], hops: 0 },
      ...{ sentAtUs: 0n, traceparent: '', onSuccess, shared: [], attempt: 0, retries: 0 },
      onFailure: [encodeContinuation(reply.failure, 'failure')],
      arguments: [{ name: 'input', value: input }],
      ...fields,
    };
  }

  /** Dispatches from a member; the promise tells whether it was admitted. */
  dispatch(member: string, invocation: Invocation): Promise<FractoryError | undefined> {
    return new Promise((resolve) => {
      this.place(member).kernel.dispatch(invocation, resolve);
    });
  }

  /** Reads memories of other members straight from their tables. */
  #remote(): RemoteMemories {
    const unused = (): Promise<never> => Promise.reject(new Error('not in this test'));
    return {
      read: async ({ capability, offset, length }, sink, signal) => {
        const open = this.place(capability!.owner).own.openRead(
          ...[capability!, { offset: Number(offset), length: Number(length) }],
        );
        sink.begin(open.sizeBytes);
        for await (const chunk of open.chunks(65_536, signal)) {
          const room = sink.room(chunk.length);
          room.set(chunk);
          await sink.filled(room);
        }
        return { sizeBytes: BigInt(open.sizeBytes), sha256: new Uint8Array() };
      },
      ...{ copy: unused, write: unused, revoke: unused },
    };
  }

  #deliver(member: string, invocation: Invocation): FractoryError | undefined {
    const place = this.#places.get(member);
    if (!place || this.lost.has(member)) return unavailable('OWNER_LOST', `${member} is gone`);
    try {
      place.kernel.admit(invocation);
      return undefined;
    } catch (error) {
      return toFractoryError(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const [member, place] of this.#places) {
      const nothing = { running: 0, gates: 0, maps: 0, activities: 0 };
      assert.equal(place.kernel.counts, nothing, `${member} still holds something`);
      assert.is(place.own.count, 0, `${member} keeps memories`);
      assert.is(place.objects.size, place.rootObjects, `${member} has objects left`);
    }
    assert.is(this.clock.pending, 0, 'a timer is left');
    return Promise.resolve();
  }
}

/** The result of an outcome that must be a success. */
export function resultOf(outcome: Outcome): Value {
  if (outcome.kind === 'failed') throw new Error(`it failed: ${outcome.failure.message}`);
  return outcome.result;
}

/** The failure of an outcome that must be one. */
export function failureOf(outcome: Outcome) {
  if (outcome.kind !== 'failed') throw new Error('it succeeded');
  return outcome.failure;
}

export function receiptsOf(outcome: Outcome): Receipt[] {
  return outcome.receipts.map((encoded) => Receipt.decode(encoded));
}
