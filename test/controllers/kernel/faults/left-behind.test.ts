import { getEventListeners } from 'node:events';

import { KernelInvocationContext } from '../../../../controllers/kernel/invocation-context.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { encodeHead } from '../../../../controllers/kernel/graph/continuation.js';
import { MapRun } from '../../../../controllers/kernel/graph/map-run.js';
import type { MapOutcome } from '../../../../controllers/kernel/graph/map-run.js';
import { Capability as ReplyCapability } from '../../../../protos/gen/fractory/v1/capability.js';
import type { Continuation } from '../../../../protos/gen/fractory/v1/controller.js';
import { MapContinuation } from '../../../../protos/gen/fractory/v1/controller.js';
import { Continuation as ContinuationMessage } from '../../../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../../../protos/gen/fractory/v1/value.js';
import { bytesValue, integerValue, listValue, toPlain } from '../../../../protos/values.js';
import { unavailable } from '../../../../runtime/errors.js';
import { KeptResult } from '../../../../services/content.js';
import type { Content } from '../../../../services/content.js';
import type { Operation } from '../../../../services/adaptor.js';
import { assert, suite } from '../../../suite.js';
import { failureOf, increment, Kernels, operation, resultOf } from '../kernels.js';
import type { Reply } from '../kernels.js';

const STEP = { run: 'run-1', step: 's' };
const INPUTS = ['input', 'by'];

const success = (reply: Reply): Uint8Array =>
  encodeHead({ capability: reply.success, argument: 'result' });

const continuation = (fields: Partial<Continuation>): Continuation =>
  ContinuationMessage.fromPartial(fields);

const turn = (): Promise<void> =>
  new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));

const large = operation('math.large', () =>
  bytesValue('application/octet-stream', Buffer.alloc(100_000)),
);

/** Never ends by itself; hears when nobody needs it any more. */
const hang = operation(
  'math.hang',
  (_args, { signal }) =>
    new Promise<Value>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    }),
);

/** A list of 20,000 integers, that is kept, and whose bytes never come. */
class StalledContent implements Content {
  readonly sizeBytes = 200_000;
  reads = 0;
  aborted = 0;
  disposed = 0;

  async *read(_range: unknown, { signal }: { signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    this.reads++;
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        this.aborted++;
        reject(signal.reason as Error);
      });
    });
    yield new Uint8Array(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
    return Promise.resolve();
  }
}

function listing(content: Content): Operation {
  const made = operation('math.list', () => new KeptResult(content, listValue([])));
  return { ...made, spec: { ...made.spec, output: ['list'] } };
}

/** A map of `math.NAME`, one element at a time, whose results go to `reply`. */
function mapHead(kernels: Kernels, name: string, reply: Reply, ends = 1): Uint8Array {
  const capability = kernels.capability('math-1', name, { step: { ...STEP, step: 'item' } });
  const end = continuation({ itemResult: true });
  const map = MapContinuation.fromPartial({
    ...{ step: 'map', parallelism: 1 },
    branches: [{ ends, heads: [continuation({ capability, onSuccess: [end] })] }],
  });
  return encodeHead({ map, onSuccess: [success(reply)] });
}

suite('what a kernel leaves behind', (test) => {
  test('a kept result whose lease has ended is forgotten, though nobody released it', async () => {
    await using kernels = new Kernels();
    const { kernel, own } = kernels.add('math-1', [large]);
    const reply = kernels.reply('math-1');
    const expiresAtMs = BigInt(kernels.clock.now() + 1000);
    const step = kernels.capability('math-1', 'math.large', { step: STEP, expiresAtMs });
    await kernels.dispatch('math-1', kernels.chain([step], reply));
    resultOf(await reply.outcome);
    assert.equal([kernel.counts.activities, own.count], [1, 1]);
    kernels.clock.advance(1001);
    assert.equal([kernel.counts.activities, own.count], [0, 0]);
  });

  test('an item that comes late is refused with its step', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.add', { step: STEP });
    const item = kernels.capability('math-1', 'math.add', { step: STEP });
    const narrowed = kernels.narrowed(item, { item: 3 });
    kernels.release('math-1', step, 1);
    const late = kernels.chain([narrowed], reply, integerValue(1n), { attempt: 1 });
    assert.is((await kernels.dispatch('math-1', late))?.reason, 'CAPABILITY_REVOKED');
    assert.is(await kernels.dispatch('math-1', { ...late, attempt: 2 }), undefined);
    assert.is(toPlain(resultOf(await reply.outcome)), '2');
  });

  test('whoever has a narrower capability releases nothing wider', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.add', { step: STEP });
    kernels.release('math-1', kernels.narrowed(step, { item: 3 }), 1);
    const invocation = kernels.chain([step], reply, integerValue(1n), { attempt: 1 });
    assert.is(await kernels.dispatch('math-1', invocation), undefined);
    resultOf(await reply.outcome);
  });

  for (const how of ['release', 'reset', 'stop'] as const)
    test(`a map whose list is still on its way ends with a ${how}, and the list is not waited for`, async () => {
      await using kernels = new Kernels();
      const content = new StalledContent();
      const { kernel, own } = kernels.add('math-1', [listing(content), increment]);
      const reply = kernels.reply('math-1');
      const step = kernels.capability('math-1', 'math.list', { step: STEP });
      const invocation = kernels.chain([step], reply, undefined, { attempt: 1 });
      invocation.onSuccess = [mapHead(kernels, 'math.add', reply)];
      await kernels.dispatch('math-1', invocation);
      await turn();
      assert.is(content.reads, 1);
      assert.is(kernel.counts.maps, 1);
      if (how === 'release') kernels.release('math-1', step);
      else if (how === 'reset') kernel.reset();
      else await kernels.stop('math-1');
      await turn();
      assert.is(content.aborted, 1);
      assert.is(kernel.counts.maps, 0);
      if (how === 'stop') {
        assert.is(failureOf(await reply.outcome).reason, 'NODE_STOPPING');
        await own.close();
      }
      await turn();
      assert.is(content.disposed, 1);
      assert.is(reply.settled(), how === 'stop' ? 1 : 0);
      reply.revoke();
    });

  for (const how of ['reset', 'stop'] as const)
    test(`a ${how} leaves no clock of gates, of maps and of what waits to be sent again`, async () => {
      await using kernels = new Kernels({ max_invocations: 2 });
      const { kernel } = kernels.add('math-1', [increment, hang]);
      kernels.add('math-2', [hang]);
      const reply = kernels.reply('math-1');
      kernels.begin(
        'math-1',
        mapHead(kernels, 'math.hang', reply),
        listValue([integerValue(1n)]),
        reply,
      );
      await turn();
      const gate = kernels.capability('math-1', 'math.add', {
        step: STEP,
        gate: { inputs: INPUTS },
      });
      const waiting = kernels.chain([gate], reply, integerValue(1n), { attempt: 1 });
      assert.is(await kernels.dispatch('math-1', waiting), undefined);
      const { running, gates, maps } = kernel.counts;
      assert.equal({ running, gates, maps }, { running: 1, gates: 1, maps: 1 });
      // No room: it is to be sent again.
      kernels.begin(
        'math-1',
        encodeHead({ capability: kernels.capability('math-1', 'math.add') }),
        integerValue(1n),
        reply,
      );
      await turn();
      if (how === 'reset') kernel.reset();
      else await kernels.stop('math-1');
      await turn();
      assert.equal(kernel.counts, { running: 0, gates: 0, maps: 0, activities: 0 });
      assert.is(kernels.clock.pending, 0);
      reply.revoke();
    });

  test('a map of which an element can not be begun fails, once, and leaves no reply', () => {
    const revoked: number[] = [];
    const outcomes: MapOutcome[] = [];
    let begun = 0;
    const branch = { ends: 1, heads: [continuation({ itemResult: true })], shared: [] };
    const map = { step: 'map', parallelism: 3, branches: [branch] };
    const rest = { onFailure: [], shared: [], receipts: [], hops: 0, budgetMs: 9, traceparent: '' };
    const run = new MapRun(
      {
        ...{ map, items: [1n, 2n, 3n].map(integerValue), rest: { ...rest, attempt: 1 } },
        ...{ maxReceipts: 9, settle: (outcome) => outcomes.push(outcome) },
      },
      {
        addReply: () => {
          const half = ReplyCapability.fromPartial({ owner: 'math-1' });
          return { success: half, failure: half, revoke: () => revoked.push(begun) };
        },
        begin: () => {
          if (++begun === 2) throw new RangeError('too deep');
          return () => undefined;
        },
        leftMs: () => 9,
      },
    );
    run.start();
    run.stop();
    assert.equal([outcomes.length, outcomes[0]?.kind], [1, 'broken']);
    assert.equal([begun, revoked.length], [2, 2]);
  });

  test('a map whose items would have four billion ends is refused', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment]);
    const reply = kernels.reply('math-1');
    const head = mapHead(kernels, 'math.add', reply, 2 ** 32 - 1);
    kernels.begin('math-1', head, listValue([integerValue(1n)]), reply);
    const { reason, message } = failureOf(await reply.outcome);
    assert.is(reason, 'LIMIT_EXCEEDED');
    assert.match(message, 'max_steps');
  });

  test('a failure that is led to a map is not lost', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [
      operation('math.bad', () => Promise.reject(unavailable('AWAY', 'away'))),
    ]);
    const reply = kernels.reply('math-1');
    const map = MapContinuation.fromPartial({ step: 'map', branches: [{ ends: 1 }] });
    const failure = encodeHead({ capability: reply.failure, argument: 'failure' });
    const first = kernels.chain([kernels.capability('math-1', 'math.bad')], reply);
    first.onFailure = [encodeHead({ map, onFailure: [failure] })];
    await kernels.dispatch('math-1', first);
    const { reason, step } = failureOf(await reply.outcome);
    assert.equal([reason, step], ['WRONG_KIND', 'map']);
  });

  for (const [budgetMs, waitsMs] of [
    [0, 30_000],
    [2 ** 32 - 1, 600_000],
  ] as const)
    test(`a gate waits no longer than an invocation with a budget of ${String(budgetMs)} may`, async () => {
      await using kernels = new Kernels();
      const { kernel } = kernels.add('math-1', [increment]);
      const reply = kernels.reply('math-1');
      const gate = kernels.capability('math-1', 'math.add', { gate: { inputs: INPUTS } });
      const invocation = kernels.chain([gate], reply, integerValue(1n), { budgetMs });
      await kernels.dispatch('math-1', invocation);
      kernels.clock.advance(waitsMs - 1);
      assert.is(kernel.counts.gates, 1);
      kernels.clock.advance(2);
      assert.is(failureOf(await reply.outcome).reason, 'JOIN_INCOMPLETE');
    });

  test('a new life of the node ends what runs and what is kept, and tells nobody', async () => {
    await using kernels = new Kernels();
    const { kernel, objects, own } = kernels.add('math-1', [hang, large]);
    kernels.add('math-2', []);
    const reply = kernels.reply('math-2');
    for (const name of ['math.hang', 'math.large']) {
      const step = kernels.capability('math-1', name, { step: { ...STEP, step: name } });
      const sent = kernels.chain([step], reply, undefined, { attempt: 1, onSuccess: [] });
      assert.is(await kernels.dispatch('math-1', sent), undefined);
    }
    assert.equal([kernel.running, kernel.counts.activities, own.count], [1, 2, 1]);
    kernel.reset();
    objects.begin(8n);
    await turn();
    assert.equal([kernel.running, kernel.counts.activities, own.count], [0, 0, 0]);
    assert.is(reply.settled(), 0);
    reply.revoke();
  });

  test('an operation that asks for its signal after its end is told so, and nobody waits for it', () => {
    const stopping = new AbortController();
    const context = new KernelInvocationContext({
      ...{ budgetMs: 600_000, timeoutMs: undefined, step: undefined, log: silentLogger() },
      ...{ stopping: stopping.signal, memory: undefined as never },
    });
    context.end();
    assert.is(context.signal.aborted, true);
    assert.is(getEventListeners(stopping.signal, 'abort').length, 0);
  });

  test('a step that waits to be tried again hears at once that its run has ended', async () => {
    await using kernels = new Kernels();
    let tries = 0;
    const flaky = operation('math.flaky', () => {
      tries++;
      return Promise.reject(unavailable('AWAY', 'it is away'));
    });
    const { kernel } = kernels.add('math-1', [flaky]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.flaky', { step: STEP });
    await kernels.dispatch('math-1', {
      ...kernels.chain([step], reply, undefined, { attempt: 1 }),
      retries: 50,
    });
    await turn();
    kernels.release('math-1', step);
    await turn();
    assert.is(kernel.running, 0);
    assert.is(tries, 1);
    reply.revoke();
  });
});
