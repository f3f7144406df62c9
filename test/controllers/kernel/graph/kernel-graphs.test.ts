import { encodeHead } from '../../../../controllers/kernel/graph/continuation.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { MapContinuation } from '../../../../protos/gen/fractory/v1/controller.js';
import type { Continuation } from '../../../../protos/gen/fractory/v1/controller.js';
import { Continuation as ContinuationMessage } from '../../../../protos/gen/fractory/v1/controller.js';
import { integerValue, listValue, textValue, toPlain } from '../../../../protos/values.js';
import { FractoryError, invalidArgument, unavailable } from '../../../../runtime/errors.js';
import type { Operation } from '../../../../services/adaptor.js';
import { assert, suite } from '../../../suite.js';
import {
  failureOf,
  increment,
  integerOf,
  Kernels,
  operation,
  receiptsOf,
  resultOf,
} from '../kernels.js';
import type { Reply } from '../kernels.js';

const STEP = { run: 'run-1', step: 's' };

/** The sum of a list of integers, or input + by. */
const sum: Operation = {
  spec: {
    ...{ name: 'math.sum', summary: '', idempotent: true, output: ['integer'] },
    arguments: [
      { name: 'input', summary: '', kinds: ['list', 'integer'], required: true },
      { name: 'by', summary: '', kinds: ['integer'], required: false },
    ],
  },
  perform(args) {
    const kind = args.get('input')?.kind;
    const by = args.has('by') ? integerOf(args, 'by') : 0n;
    if (kind?.$case !== 'list') return integerValue(integerOf(args) + by);
    return integerValue(
      kind.value.values.reduce((total, value) => total + BigInt(String(toPlain(value))), by),
    );
  },
};

/** -1 for anything: what a handler makes of a failure. */
const minusOne = operation('math.minus_one', () => integerValue(-1n));

/** Fails for 13. */
const picky = operation('math.picky', (args) => {
  if (integerOf(args) === 13n) throw invalidArgument('input', 'is 13', 'UNLUCKY');
  return integerValue(integerOf(args) * 2n);
});

const success = (reply: Reply): Uint8Array =>
  encodeHead({ capability: reply.success, argument: 'result' });
const failure = (reply: Reply): Uint8Array =>
  encodeHead({ capability: reply.failure, argument: 'failure' });

const continuation = (fields: Partial<Continuation>): Continuation =>
  ContinuationMessage.fromPartial(fields);

/** A map with one branch: its items end at `itemResult` after the capability. */
const mapOver = (capabilities: readonly Capability[], parallelism = 2): MapContinuation =>
  MapContinuation.fromPartial({
    step: 'map',
    parallelism,
    branches: capabilities.map((capability) => ({
      ends: 1,
      heads: [continuation({ capability, onSuccess: [continuation({ itemResult: true })] })],
    })),
  });

const settled = (): Promise<void> =>
  new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));

suite('a kernel that runs a graph', (test) => {
  test('invokes all successors of a step, and the step where they meet once, with both results', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment, sum]);
    kernels.add('math-2', [increment, sum]);
    const reply = kernels.reply('math-1');
    const join = kernels.capability('math-2', 'math.sum', {
      ...{ step: { ...STEP, step: 'join' } },
      gate: { inputs: ['input[0]', 'input[1]'] },
    });
    const shared = [encodeHead({ capability: join, onSuccess: [success(reply)] })];
    const branch = (member: string, position: number): Uint8Array =>
      encodeHead({
        capability: kernels.capability(member, 'math.add'),
        onSuccess: [encodeHead({ shared: 1, argument: `input[${String(position)}]` })],
      });
    const first = kernels.chain([kernels.capability('math-1', 'math.add')], reply);
    first.onSuccess = [branch('math-1', 0), branch('math-2', 1)];
    await kernels.dispatch('math-1', { ...first, shared, attempt: 1 });
    const outcome = await reply.outcome;
    assert.is(toPlain(resultOf(outcome)), '4');
    assert.is(receiptsOf(outcome).length, 4, 'the receipt before the parting stands once');
    kernels.release('math-2', join);
  });

  test('fails a run whose join is never filled at the end of its budget, and says what was missing', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [sum]);
    const reply = kernels.reply('math-1');
    const join = kernels.capability('math-1', 'math.sum', {
      ...{ step: STEP, gate: { inputs: ['input', 'by'] } },
    });
    const invocation = kernels.chain([join], reply, integerValue(1n), { budgetMs: 500 });
    assert.is(await kernels.dispatch('math-1', invocation), undefined);
    kernels.clock.advance(501);
    const { reason, message, step } = failureOf(await reply.outcome);
    assert.equal([reason, step], ['JOIN_INCOMPLETE', 's']);
    assert.match(message, 'waited for by');
  });

  test('sends a failure to its handler, and goes on where the handler leads, once', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [picky, minusOne, sum]);
    const reply = kernels.reply('math-1');
    const rejoin = kernels.capability('math-1', 'math.sum', {
      ...{ step: { ...STEP, step: 'rejoin' }, gate: { inputs: ['input'] } },
    });
    const shared = [
      encodeHead({
        capability: rejoin,
        onSuccess: [success(reply)],
        onFailure: [failure(reply)],
      }),
    ];
    const back = encodeHead({ shared: 1 });
    const handler = encodeHead({
      capability: kernels.capability('math-1', 'math.minus_one'),
      onSuccess: [back],
      onFailure: [failure(reply)],
    });
    const run = async (input: bigint, attempt: number): Promise<unknown> => {
      const first = kernels.chain(
        [kernels.capability('math-1', 'math.picky')],
        reply,
        integerValue(input),
      );
      await kernels.dispatch('math-1', {
        ...first,
        ...{ onSuccess: [back], onFailure: [handler], shared, attempt },
      });
      return toPlain(resultOf(await reply.outcome));
    };
    assert.is(await run(13n, 1), '-1');
    await run(5n, 1);
    assert.is(reply.settled(), 1, 'the step after the handler begins once in an attempt');
    kernels.release('math-1', rejoin);
  });

  test('maps over a list: members take turns, results keep their order, items are steps of their own', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment]);
    kernels.add('math-2', [increment]);
    const reply = kernels.reply('math-1');
    const steps = ['math-1', 'math-2'].map((member) =>
      kernels.capability(member, 'math.add', { step: STEP }),
    );
    const list = listValue([5n, 6n, 7n, 8n, 9n].map(integerValue));
    const rest = {
      ...{ shared: [], onFailure: [failure(reply)], deadlineMs: kernels.clock.now() + 5000 },
      ...{ traceparent: '', attempt: 1 },
    };
    kernels
      .place('math-1')
      .kernel.continueWith(
        [encodeHead({ map: mapOver(steps), onSuccess: [success(reply)] })],
        list,
        rest,
      );
    const outcome = await reply.outcome;
    assert.equal(toPlain(resultOf(outcome)), ['6', '7', '8', '9', '10']);
    const receipts = receiptsOf(outcome).map(({ step, member }) => `${step} ${member}`);
    assert.equal(receipts.sort(), [
      's[0] math-1',
      's[1] math-2',
      's[2] math-1',
      's[3] math-2',
      's[4] math-1',
    ]);
  });

  test('maps over the lists of a list', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment, sum]);
    const reply = kernels.reply('math-1');
    const inner = mapOver([kernels.capability('math-1', 'math.add', { step: STEP })]);
    const outer = MapContinuation.fromPartial({
      step: 'outer',
      branches: [
        {
          ends: 1,
          heads: [continuation({ map: inner, onSuccess: [continuation({ itemResult: true })] })],
        },
      ],
    });
    const list = listValue([[1n, 2n], [], [3n]].map((row) => listValue(row.map(integerValue))));
    kernels.begin('math-1', encodeHead({ map: outer, onSuccess: [success(reply)] }), list, reply);
    const outcome = await reply.outcome;
    assert.equal(toPlain(resultOf(outcome)), [['2', '3'], [], ['4']]);
    assert.equal(
      receiptsOf(outcome)
        .map(({ step }) => step)
        .sort(),
      ['s[0][0]', 's[0][1]', 's[2][0]'],
    );
  });

  test('fails a map with its first item that fails, naming the item', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [picky]);
    const reply = kernels.reply('math-1');
    const map = mapOver([kernels.capability('math-1', 'math.picky', { step: STEP })]);
    const list = listValue([1n, 2n, 13n, 4n].map(integerValue));
    kernels.begin('math-1', encodeHead({ map, onSuccess: [success(reply)] }), list, reply);
    const { reason, step } = failureOf(await reply.outcome);
    assert.equal([reason, step], ['UNLUCKY', 's[2]']);
  });

  test('refuses to map over what is no list, over too many items, and without a branch', async () => {
    await using kernels = new Kernels({ max_map_items: 2 });
    kernels.add('math-1', [increment]);
    const step = kernels.capability('math-1', 'math.add', { step: STEP });
    const long = listValue([1n, 2n, 3n].map(integerValue));
    for (const [map, list, reason] of [
      [mapOver([step]), textValue('a'), 'WRONG_KIND'],
      [mapOver([step]), long, 'LIMIT_EXCEEDED'],
      [mapOver([]), listValue([integerValue(1n)]), 'BAD_CONTINUATION'],
    ] as const) {
      const reply = kernels.reply('math-1');
      kernels.begin('math-1', encodeHead({ map, onSuccess: [success(reply)] }), list, reply);
      assert.is(failureOf(await reply.outcome).reason, reason);
    }
  });

  test('collects several ends of a run into a list in their order', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment]);
    const reply = kernels.reply('math-1', ['a', 'b']);
    const first = kernels.chain([kernels.capability('math-1', 'math.add')], reply);
    first.onSuccess = [
      encodeHead({ capability: reply.success, argument: 'b' }),
      encodeHead({
        capability: kernels.capability('math-1', 'math.add'),
        onSuccess: [encodeHead({ capability: reply.success, argument: 'a' })],
      }),
    ];
    await kernels.dispatch('math-1', first);
    assert.equal(toPlain(resultOf(await reply.outcome)), ['2', '1']);
  });

  test('tries an idempotent operation again as often as its step says, and says how often it was tried', async () => {
    await using kernels = new Kernels();
    let performed = 0;
    const shaky = operation('math.shaky', () => {
      performed++;
      return performed < 3
        ? Promise.reject(unavailable('NO_ROUTE', 'not now'))
        : Promise.resolve(integerValue(7n));
    });
    kernels.add('math-1', [shaky]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.shaky', { step: STEP });
    await kernels.dispatch('math-1', kernels.chain([step], reply, undefined, { retries: 2 }));
    const outcome = await reply.outcome;
    assert.is(toPlain(resultOf(outcome)), '7');
    assert.is(receiptsOf(outcome)[0]?.tries, 3);
  });

  test('does not try again what is refused for good, nor what is not idempotent', async () => {
    await using kernels = new Kernels();
    let performed = 0;
    const broken = operation('math.broken', () => {
      performed++;
      return Promise.reject(invalidArgument('input', 'is wrong'));
    });
    const once = operation('math.once', () => {
      performed++;
      return Promise.reject(unavailable('NO_ROUTE', 'not now'));
    });
    kernels.add('math-1', [broken, { ...once, spec: { ...once.spec, idempotent: false } }]);
    for (const name of ['math.broken', 'math.once']) {
      const reply = kernels.reply('math-1');
      const step = kernels.capability('math-1', name, { step: STEP });
      await kernels.dispatch('math-1', kernels.chain([step], reply, undefined, { retries: 5 }));
      failureOf(await reply.outcome);
    }
    assert.is(performed, 2);
  });

  test('ends a step at its timeout, even one that does not listen', async () => {
    await using kernels = new Kernels();
    const deaf = operation('math.deaf', () => new Promise(() => undefined));
    kernels.add('math-1', [deaf]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.deaf', { step: STEP, timeoutMs: 30 });
    await kernels.dispatch('math-1', kernels.chain([step], reply));
    const { reason, message } = failureOf(await reply.outcome);
    assert.is(reason, 'STEP_TIMEOUT');
    assert.match(message, '30 ms');
  });

  test('sends an invocation again that was refused for want of room', async () => {
    await using kernels = new Kernels({ max_invocations: 1 });
    let finish: () => void = () => undefined;
    const slow = operation(
      'math.slow',
      () =>
        new Promise((resolve) => {
          finish = () => {
            resolve(integerValue(1n));
          };
        }),
    );
    kernels.add('math-1', [increment]);
    kernels.add('math-2', [slow]);
    const replies = [kernels.reply('math-1'), kernels.reply('math-1')];
    for (const reply of replies)
      await kernels.dispatch(
        'math-1',
        kernels.chain(
          [kernels.capability('math-1', 'math.add'), kernels.capability('math-2', 'math.slow')],
          reply,
        ),
      );
    await settled();
    finish();
    await replies[0]!.outcome;
    kernels.clock.advance(150);
    await settled();
    finish();
    resultOf(await replies[1]!.outcome);
  });

  test('aborts what runs for a step when the run releases it, tells nobody, and refuses the step from then on', async () => {
    await using kernels = new Kernels();
    let aborted: unknown;
    const long = operation(
      'math.long',
      (_args, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = signal.reason;
            reject(signal.reason as Error);
          });
        }),
    );
    kernels.add('math-1', [long]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.long', { step: STEP });
    const invocation = kernels.chain([step], reply, undefined, { attempt: 1 });
    await kernels.dispatch('math-1', invocation);
    kernels.release('math-1', step);
    await settled();
    assert.ok(aborted instanceof FractoryError && aborted.reason === 'CAPABILITY_REVOKED');
    assert.is(reply.settled(), 0);
    const refused = await kernels.dispatch('math-1', invocation);
    assert.is(refused?.reason, 'CAPABILITY_REVOKED');
    assert.is(await kernels.dispatch('math-1', { ...invocation, attempt: 2 }), undefined);
    kernels.release('math-1', step, 2);
    await settled();
    reply.revoke();
  });

  test('releases nothing for a capability that is not genuine', async () => {
    await using kernels = new Kernels();
    let finish: () => void = () => undefined;
    const slow = operation(
      'math.slow',
      () =>
        new Promise((resolve) => {
          finish = () => {
            resolve(integerValue(1n));
          };
        }),
    );
    kernels.add('math-1', [slow]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.slow', { step: STEP });
    await kernels.dispatch('math-1', kernels.chain([step], reply, undefined, { attempt: 1 }));
    const forged = { ...step, tag: Buffer.from(step.tag).fill(0, 0, 4) };
    kernels.release('math-1', forged);
    finish();
    resultOf(await reply.outcome);
  });

  test('fails a continuation that refers to a shared one that is not there', async () => {
    await using kernels = new Kernels();
    kernels.add('math-1', [increment]);
    const reply = kernels.reply('math-1');
    const first = kernels.chain([kernels.capability('math-1', 'math.add')], reply);
    await kernels.dispatch('math-1', { ...first, onSuccess: [encodeHead({ shared: 2 })] });
    const { reason, message } = failureOf(await reply.outcome);
    assert.is(reason, 'BAD_CONTINUATION');
    assert.match(message, 'number 2 of 0');
  });
});
