import { status } from '@grpc/grpc-js';

import { encodeContinuation } from '../../../controllers/kernel/graph/continuation.js';
import { narrow } from '../../../controllers/kernel/capabilities/token.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { bytesValue, integerValue, textValue } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';
import { failureOf, increment, integerOf, Kernels, operation, resultOf } from './kernels.js';

const fail = operation('math.fail', () => {
  throw new FractoryError(status.OUT_OF_RANGE, 'TOO_LARGE', 'the number is too large');
});

/** An operation that ends when it is told to. */
function held(name = 'math.hold') {
  const waiting: ((value: Value) => void)[] = [];
  const signals: AbortSignal[] = [];
  const made = operation(name, (_args, { signal }) => {
    signals.push(signal);
    return new Promise((resolve, reject) => {
      waiting.push(resolve);
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    });
  });
  return { operation: made, waiting, signals };
}

/** Lets everything that is ready run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

suite('limits of the kernel', (test) => {
  test('the budget shrinks with each step and then ends the chain', async () => {
    await using world = new Kernels();
    const budgets: number[] = [];
    const spend = operation('math.spend', (args, { budgetMs }) => {
      budgets.push(budgetMs);
      world.clock.advance(400);
      return integerValue(integerOf(args));
    });
    world.add('a', [spend]);
    world.add('b', [spend]);
    const reply = world.reply('a');
    const steps = ['a', 'b', 'a', 'b', 'a'].map((member) => world.capability(member, 'math.spend'));
    await world.dispatch('a', world.chain(steps, reply, integerValue(0n), { budgetMs: 1000 }));
    const failure = failureOf(await reply.outcome);
    assert.equal([failure.code, failure.reason], [status.DEADLINE_EXCEEDED, 'BUDGET_EXHAUSTED']);
    assert.equal(budgets, [1000, 600, 200]);
  });

  test('a budget of 0 is the default, and none is longer than max_budget_ms', async () => {
    await using world = new Kernels({ default_budget_ms: 70, max_budget_ms: 90 });
    const budgets: number[] = [];
    const look = operation('math.look', (args, { budgetMs }) => {
      budgets.push(budgetMs);
      return integerValue(integerOf(args));
    });
    world.add('a', [look]);
    for (const budgetMs of [0, 50, 1_000_000]) {
      const reply = world.reply('a');
      const capability = world.capability('a', 'math.look');
      await world.dispatch('a', world.chain([capability], reply, integerValue(0n), { budgetMs }));
      await reply.outcome;
    }
    assert.equal(budgets, [70, 50, 90]);
  });

  test('max_hops stops a path that is too long', async () => {
    await using world = new Kernels({ max_hops: 5 });
    world.add('a', [increment]);
    const reply = world.reply('a');
    const steps = Array.from({ length: 8 }, () => world.capability('a', 'math.add'));
    await world.dispatch('a', world.chain(steps, reply));
    const { code, message } = failureOf(await reply.outcome);
    assert.is(code, status.RESOURCE_EXHAUSTED);
    assert.match(message, /max_hops is 5/);
  });

  test('max_invocations refuses what is too much', async () => {
    const hold = held();
    await using world = new Kernels({ max_invocations: 2 });
    world.add('a', [hold.operation]);
    const capability = world.capability('a', 'math.hold');
    const replies = [world.reply('a'), world.reply('a'), world.reply('a')] as const;
    assert.is(await world.dispatch('a', world.chain([capability], replies[0])), undefined);
    assert.is(await world.dispatch('a', world.chain([capability], replies[1])), undefined);
    const refused = await world.dispatch('a', world.chain([capability], replies[2]));
    assert.match(refused?.message ?? '', /max_invocations is 2/);
    assert.is(refused?.retryAfterMs, 100);
    for (const end of hold.waiting) end(integerValue(1n));
    await Promise.all([replies[0].outcome, replies[1].outcome]);
    replies[2].revoke();
    await settled();
  });

  test('max_caveats refuses a capability that was narrowed too often', async () => {
    await using world = new Kernels({ max_caveats: 2 });
    world.add('a', [increment]);
    let capability = world.capability('a', 'math.add');
    for (let count = 0; count < 3; count++)
      capability = narrow(capability, { expiresAtMs: 0n, arguments: [], step: undefined });
    const reply = world.reply('a');
    const refused = await world.dispatch('a', world.chain([capability], reply));
    assert.match(refused?.message ?? '', /max_caveats is 2/);
    reply.revoke();
  });

  test('inline_limit_bytes: a larger result stays with its producer until its lease ends', async () => {
    await using world = new Kernels({ inline_limit_bytes: 1024 });
    const sizes = [1024, 1025];
    world.add('a', [
      operation('math.large', () => bytesValue('', new Uint8Array(sizes.shift() ?? 0))),
    ]);
    const [fits, tooLarge] = [world.reply('a'), world.reply('a')];
    const capability = world.capability('a', 'math.large');
    await world.dispatch('a', world.chain([capability], fits));
    resultOf(await fits.outcome);
    await world.dispatch('a', world.chain([capability], tooLarge));
    const { kind } = resultOf(await tooLarge.outcome);
    assert.is(kind?.$case === 'memory' ? kind.value.sizeBytes : 0n, 1025n);
    assert.is(world.place('a').own.count, 1);
    world.clock.advance(10_001);
  });

  test('checks come in order: epoch, tag, liveness, caveats, arguments, room', () => {
    const world = new Kernels({ max_invocations: 0 });
    const { kernel, objects } = world.add('a', [increment]);
    const good = narrow(world.capability('a', 'math.add'), {
      ...{ expiresAtMs: 0n, step: undefined },
      arguments: [{ name: 'by', value: integerValue(1n) }],
    });
    const gone = objects.addReply(() => undefined);
    gone.revoke();
    const expiry = { expiresAtMs: 1n, arguments: [], step: undefined };
    const bad = { name: 'by', value: textValue('again') };
    const unknown = { name: 'nonsense', value: textValue('') };
    const input = { name: 'input', value: integerValue(1n) };
    const rows = [
      [
        { ...narrow(gone.success, expiry), epoch: 6n, tag: new Uint8Array(32) },
        [bad],
        'STALE_OWNER',
      ],
      [{ ...narrow(gone.success, expiry), tag: new Uint8Array(32) }, [bad], 'CAPABILITY_FORGED'],
      [narrow(gone.success, expiry), [bad], 'CAPABILITY_REVOKED'],
      [narrow(good, expiry), [bad], 'CAPABILITY_EXPIRED'],
      [good, [bad], 'CAPABILITY_DENIED'],
      [good, [unknown], 'MISSING_ARGUMENT'],
      [good, [input, unknown], 'UNKNOWN_ARGUMENT'],
      [good, [input], 'LIMIT_EXCEEDED'],
    ] as const;
    for (const [capability, args, reason] of rows) {
      const chain = { ...world.chain([capability], gone), arguments: [...args] };
      throws(
        () => {
          kernel.admit(chain);
        },
        FractoryError,
        { reason },
      );
    }
  });
});

suite('stopping a kernel', (test) => {
  test('waits for what runs, and its result still goes on', async () => {
    const hold = held();
    await using world = new Kernels();
    const { kernel } = world.add('a', [hold.operation]);
    world.add('b', [increment]);
    const reply = world.reply('b');
    await world.dispatch('b', world.chain([world.capability('a', 'math.hold')], reply));
    let stopped = false;
    const stopping = kernel.stop(1000).then(() => {
      stopped = true;
    });
    await settled();
    assert.is(stopped, false);
    hold.waiting[0]!(integerValue(5n));
    await stopping;
    assert.equal(resultOf(await reply.outcome), integerValue(5n));
  });

  test('aborts what still runs after the grace period', async () => {
    const hold = held();
    await using world = new Kernels();
    const { kernel } = world.add('a', [hold.operation]);
    world.add('b', [increment]);
    const reply = world.reply('b');
    await world.dispatch('b', world.chain([world.capability('a', 'math.hold')], reply));
    const stopping = kernel.stop(1000);
    world.clock.advance(1000);
    await stopping;
    assert.is(failureOf(await reply.outcome).reason, 'NODE_STOPPING');
  });

  test('admits nothing afterwards', async () => {
    await using world = new Kernels();
    const { kernel } = world.add('a', [increment]);
    await kernel.stop(1000);
    const reply = world.reply('a');
    const chain = world.chain([world.capability('a', 'math.add')], reply);
    assert.is((await world.dispatch('a', chain))?.reason, 'NODE_STOPPING');
    reply.revoke();
  });

  test('an operation whose budget is over hears it from its signal', async () => {
    const hold = held();
    await using world = new Kernels();
    world.add('a', [hold.operation]);
    const reply = world.reply('a');
    const capability = world.capability('a', 'math.hold');
    await world.dispatch('a', world.chain([capability], reply, integerValue(0n), { budgetMs: 20 }));
    assert.is(failureOf(await reply.outcome).reason, 'BUDGET_EXHAUSTED');
    await settled();
  });

  test('a continuation of failure may be an operation', async () => {
    await using world = new Kernels();
    const caught: Value[] = [];
    const clean = operation('math.clean', (args) => {
      caught.push(args.get('input')!);
      return integerValue(9n);
    });
    world.add('a', [fail, clean]);
    const reply = world.reply('a');
    const cleanup = encodeContinuation(world.capability('a', 'math.clean'), 'input', [
      encodeContinuation(reply.success, 'result'),
    ]);
    const chain = world.chain([world.capability('a', 'math.fail')], reply, integerValue(0n), {
      onFailure: [cleanup],
    });
    await world.dispatch('a', chain);
    assert.equal(resultOf(await reply.outcome), integerValue(9n));
    assert.is(caught[0]?.kind?.$case, 'failure');
  });
});
