import { status } from '@grpc/grpc-js';

import { integerValue } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite } from '../../suite.js';
import {
  failureOf,
  increment,
  integerOf,
  Kernels,
  operation,
  receiptsOf,
  resultOf,
} from './kernels.js';

const fail = operation('math.fail', () => {
  throw new FractoryError(status.OUT_OF_RANGE, 'TOO_LARGE', 'the number is too large');
});

/** Lets everything that is ready run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

suite('a chain over kernels', (test) => {
  test('each node invokes the next, and the last answers', async () => {
    await using world = new Kernels();
    for (const member of ['a', 'b', 'c']) world.add(member, [increment]);
    const reply = world.reply('a');
    const steps = ['a', 'b', 'c', 'b'].map((member, index) =>
      world.capability(member, 'math.add', { step: { run: 'r', step: `s${String(index)}` } }),
    );
    assert.is(await world.dispatch('a', world.chain(steps, reply)), undefined);
    const outcome = await reply.outcome;
    assert.equal(resultOf(outcome), integerValue(4n));
    assert.equal(
      receiptsOf(outcome).map(({ step, member, epoch, operation }) => ({
        step,
        member,
        epoch,
        operation,
      })),
      ['a', 'b', 'c', 'b'].map((member, index) => ({
        ...{ step: `s${String(index)}`, member, epoch: 7n, operation: 'math.add' },
      })),
    );
    assert.equal(
      world.carried.map((invocation) => [invocation.capability?.owner, invocation.hops]),
      [
        ['b', 1],
        ['c', 2],
        ['b', 3],
        ['a', 4],
      ],
    );
    assert.is(reply.settled(), 1);
  });

  test('the failure of a step reaches the failure continuation with step, member and receipts', async () => {
    await using world = new Kernels();
    world.add('a', [increment]);
    world.add('b', [fail]);
    const reply = world.reply('a');
    const steps = [
      world.capability('a', 'math.add', { step: { run: 'r', step: 'one' } }),
      world.capability('b', 'math.fail', { step: { run: 'r', step: 'two' } }),
      world.capability('a', 'math.add'),
    ];
    await world.dispatch('a', world.chain(steps, reply));
    const outcome = await reply.outcome;
    const { code, reason, step, member } = failureOf(outcome);
    assert.equal([code, reason, step, member], [status.OUT_OF_RANGE, 'TOO_LARGE', 'two', 'b']);
    assert.equal(
      receiptsOf(outcome).map((receipt) => receipt.step),
      ['one', 'two'],
    );
  });

  test('an error that nobody expected is told as INTERNAL, without its text', async () => {
    await using world = new Kernels();
    const bug = operation('math.bug', () => Promise.reject(new TypeError('secret detail')));
    world.add('a', [bug]);
    const reply = world.reply('a');
    await world.dispatch('a', world.chain([world.capability('a', 'math.bug')], reply));
    const { reason, message } = failureOf(await reply.outcome);
    assert.is(reason, 'INTERNAL');
    assert.not.match(message, /secret/);
  });

  test('the refusal of the next node reaches the failure continuation', async () => {
    await using world = new Kernels();
    world.add('a', [increment]);
    world.add('b', [increment]);
    const reply = world.reply('a');
    const expired = world.capability('b', 'math.add', {
      expiresAtMs: 1n,
      step: { run: 'r', step: 'late' },
    });
    await world.dispatch('a', world.chain([world.capability('a', 'math.add'), expired], reply));
    const outcome = await reply.outcome;
    const { reason, step, member } = failureOf(outcome);
    assert.equal([reason, step, member], ['CAPABILITY_EXPIRED', 'late', 'b']);
    assert.is(outcome.receipts.length, 1);
  });

  test('a lost owner reaches the failure continuation', async () => {
    await using world = new Kernels();
    world.add('a', [increment]);
    world.add('b', [increment]);
    const reply = world.reply('a');
    const steps = [world.capability('a', 'math.add'), world.capability('b', 'math.add')];
    world.lost.add('b');
    await world.dispatch('a', world.chain(steps, reply));
    assert.is(failureOf(await reply.outcome).reason, 'OWNER_LOST');
  });

  test('a continuation that cannot be read fails the step, and the node lives on', async () => {
    await using world = new Kernels();
    const slow = operation('math.slow', async (args) => {
      await Promise.resolve();
      return integerValue(integerOf(args));
    });
    world.add('a', [slow, increment]);
    for (const name of ['math.slow', 'math.add']) {
      const reply = world.reply('a');
      const chain = world.chain([world.capability('a', name)], reply, integerValue(1n), {
        onSuccess: [Buffer.from([0x0a, 0xff, 0xff])],
      });
      await world.dispatch('a', chain);
      assert.is(failureOf(await reply.outcome).reason, 'BAD_CONTINUATION');
    }
    const lostFailure = world.chain(
      [world.capability('a', 'math.slow')],
      world.reply('a'),
      integerValue(1n),
      {
        onSuccess: [Buffer.from([0xff])],
        onFailure: [Buffer.from([0xff])],
      },
    );
    await world.dispatch('a', lostFailure);
    await settled();
    world.place('a').objects.begin(7n);
  });

  test('a sender whose clock is far off does no harm', async () => {
    await using world = new Kernels();
    world.add('a', [increment]);
    for (const sentAtUs of [1n, 2n ** 63n]) {
      const reply = world.reply('a');
      const chain = world.chain([world.capability('a', 'math.add')], reply, integerValue(0n), {
        sentAtUs,
      });
      assert.is(await world.dispatch('a', chain), undefined);
      resultOf(await reply.outcome);
    }
  });

  test('2,000 steps on one member do not overflow the stack', async () => {
    await using world = new Kernels();
    world.add('a', [increment]);
    const reply = world.reply('a');
    const steps = Array.from({ length: 2000 }, () => world.capability('a', 'math.add'));
    await world.dispatch('a', world.chain(steps, reply));
    assert.equal(resultOf(await reply.outcome), integerValue(2000n));
  });

  test('a second use of a one-shot reply is refused', async () => {
    await using world = new Kernels();
    world.add('a', [increment]);
    const reply = world.reply('a');
    const chain = world.chain([reply.success], reply);
    assert.is(await world.dispatch('a', chain), undefined);
    assert.is((await world.dispatch('a', chain))?.reason, 'CAPABILITY_REVOKED');
    assert.is(reply.settled(), 1);
  });

  test('a reply takes one value: a result or a failure', async () => {
    await using world = new Kernels();
    world.add('a', [increment]);
    const reply = world.reply('a');
    const two = [
      { name: 'x', value: integerValue(1n) },
      { name: 'y', value: integerValue(1n) },
    ];
    for (const [capability, args] of [
      [reply.success, two],
      [reply.success, []],
      [reply.failure, two.slice(1)],
    ] as const) {
      const invocation = { ...world.chain([capability], reply), arguments: [...args] };
      assert.is((await world.dispatch('a', invocation))?.reason, 'CAPABILITY_DENIED');
    }
    reply.revoke();
    assert.is(reply.settled(), 0);
  });

  test('the own capability of an earlier life is stale at once', async () => {
    await using world = new Kernels();
    const { objects } = world.add('a', [increment]);
    const old = world.capability('a', 'math.add');
    objects.begin(8n);
    const reply = world.reply('a');
    assert.is((await world.dispatch('a', world.chain([old], reply)))?.reason, 'STALE_OWNER');
    assert.is(world.carried.length, 0);
    reply.revoke();
  });
});

suite('remembered results', (test) => {
  const scope = { run: 'r', step: 's' };

  /** A world with one counting operation. */
  function counting(limits = {}) {
    const world = new Kernels(limits);
    let computed = 0n;
    const count = operation('math.count', () => Promise.resolve(integerValue(++computed)));
    world.add('a', [count]);
    const run = async (caveat: Parameters<Kernels['capability']>[2]) => {
      const reply = world.reply('a');
      const capability = world.capability('a', 'math.count', caveat);
      await world.dispatch('a', world.chain([capability], reply));
      const outcome = await reply.outcome;
      return { result: resultOf(outcome), reused: receiptsOf(outcome)[0]!.reused };
    };
    return { run, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
  }

  test('the same step with the same token is computed once, and its receipt says so', async () => {
    await using counter = counting();
    const { run } = counter;
    assert.equal(await run({ step: scope }), { result: integerValue(1n), reused: false });
    assert.equal(await run({ step: scope }), { result: integerValue(1n), reused: true });
  });

  test('what answers at once is computed again', async () => {
    await using world = new Kernels();
    let computed = 0;
    world.add('a', [
      operation('math.quick', () => {
        computed++;
        return integerValue(1n);
      }),
    ]);
    for (let times = 0; times < 2; times++) {
      const reply = world.reply('a');
      const capability = world.capability('a', 'math.quick', { step: scope });
      await world.dispatch('a', world.chain([capability], reply));
      await reply.outcome;
    }
    assert.is(computed, 2);
  });

  test('another token, run or step is not served from memory', async () => {
    await using counter = counting();
    const { run } = counter;
    await run({ step: scope });
    const later = 10_000_000_000_000n;
    assert.equal((await run({ step: scope, expiresAtMs: later })).result, integerValue(2n));
    assert.equal((await run({ step: { ...scope, run: 'q' } })).result, integerValue(3n));
    assert.equal((await run({ step: { ...scope, step: 'q' } })).result, integerValue(4n));
    assert.equal((await run({})).result, integerValue(5n));
    assert.equal((await run({})).result, integerValue(6n));
  });

  test('max_remembered_results = 0 remembers nothing', async () => {
    await using counter = counting({ max_remembered_results: 0 });
    const { run } = counter;
    await run({ step: scope });
    assert.equal((await run({ step: scope })).result, integerValue(2n));
  });
});
