import { KeptResult } from '../../../../services/content.js';
import { BufferContent } from '../../../../controllers/kernel/memory/buffer-content.js';
import {
  bytesValue,
  integerValue,
  listValue,
  textValue,
  toBlob,
  toPlain,
} from '../../../../protos/values.js';
import type { Value } from '../../../../protos/gen/fractory/v1/value.js';
import type { Operation } from '../../../../services/adaptor.js';
import { assert, suite } from '../../../suite.js';
import { failureOf, Kernels, operation, receiptsOf, resultOf } from '../kernels.js';

const STEP = { run: 'run-1', step: 's' };
const LIMITS = { inline_limit_bytes: 1024 };

const large = (sizeBytes: number): Value => bytesValue('image/png', Buffer.alloc(sizeBytes, 7));

/** How many bytes come in, of what media type; lists are added up. */
const length: Operation = {
  spec: {
    ...{ name: 'math.length', summary: '', idempotent: true, output: ['integer'] },
    arguments: [
      { name: 'input', summary: '', kinds: ['bytes', 'text', 'list', 'integer'], required: true },
    ],
  },
  perform(args) {
    const input = args.get('input')!;
    const values = input.kind?.$case === 'list' ? input.kind.value.values : [input];
    assert.not(values.some(({ kind }) => kind?.$case === 'memory'));
    return integerValue(values.reduce((sum, value) => sum + BigInt(toBlob(value).data.length), 0n));
  },
};

/** The same, read as a stream. */
const streamed: Operation = {
  spec: {
    ...length.spec,
    name: 'math.streamed',
    arguments: [{ ...length.spec.arguments[0]!, streamed: true }],
  },
  async perform(args, context) {
    let bytes = 0;
    for await (const chunk of context.stream(args.get('input')!)) bytes += chunk.length;
    return integerValue(BigInt(bytes));
  },
};

suite('a result above the inline limit', (test) => {
  test('is pulled by its consumer from its producer, and the receipts say what was kept and pulled', async () => {
    await using kernels = new Kernels(LIMITS);
    kernels.add('math-1', [operation('math.large', () => large(5000))]);
    kernels.add('math-2', [length]);
    const reply = kernels.reply('math-2');
    const make = kernels.capability('math-1', 'math.large', { step: STEP });
    await kernels.dispatch(
      'math-1',
      kernels.chain([make, kernels.capability('math-2', 'math.length')], reply),
    );
    const outcome = await reply.outcome;
    assert.is(toPlain(resultOf(outcome)), '5000');
    const [made, used] = receiptsOf(outcome);
    assert.equal([made?.heldBytes, made?.bytesOut, used?.bytesIn], [5000n, 5000n, 5000n]);
    for (const { arguments: args } of kernels.carried)
      for (const { value } of args) assert.not(value?.kind?.$case === 'bytes');
    assert.is(kernels.place('math-1').own.count, 1);
    kernels.release('math-1', make);
  });

  test('is pulled out of lists too, and read as a stream where the operation takes one', async () => {
    await using kernels = new Kernels(LIMITS);
    const list = operation('math.list', () =>
      listValue([large(3000), textValue('x'.repeat(10)), large(4000)]),
    );
    kernels.add('math-1', [list, operation('math.large', () => large(9000))]);
    kernels.add('math-2', [length, streamed]);
    for (const [from, to, bytes] of [
      ['math.list', 'math.length', '7010'],
      ['math.large', 'math.streamed', '9000'],
    ] as const) {
      const reply = kernels.reply('math-2');
      const make = kernels.capability('math-1', from, { step: STEP });
      const chain = kernels.chain([make, kernels.capability('math-2', to)], reply);
      await kernels.dispatch('math-1', chain);
      assert.is(toPlain(resultOf(await reply.outcome)), bytes);
      kernels.release('math-1', make);
    }
  });

  test('is refused by a consumer that may not pull so much, and named', async () => {
    await using kernels = new Kernels({ ...LIMITS, max_pulled_bytes: 4096 });
    kernels.add('math-1', [operation('math.large', () => large(5000)), length]);
    const reply = kernels.reply('math-1');
    const make = kernels.capability('math-1', 'math.large', { step: STEP });
    const chain = kernels.chain([make, kernels.capability('math-1', 'math.length')], reply);
    await kernels.dispatch('math-1', chain);
    const { reason, message } = failureOf(await reply.outcome);
    assert.is(reason, 'LIMIT_EXCEEDED');
    assert.match(message, 'max_pulled_bytes is 4096');
    kernels.release('math-1', make);
  });

  test('fails its run where the node has no room to keep it', async () => {
    await using kernels = new Kernels({ ...LIMITS, max_memory_bytes: 2048 });
    kernels.add('math-1', [operation('math.large', () => large(5000))]);
    const reply = kernels.reply('math-1');
    const make = kernels.capability('math-1', 'math.large', { step: STEP });
    await kernels.dispatch('math-1', kernels.chain([make], reply));
    assert.match(failureOf(await reply.outcome).message, 'max_memory_bytes');
  });

  test('is found again by the next attempt, and made again when it was freed meanwhile', async () => {
    await using kernels = new Kernels(LIMITS);
    let made = 0;
    kernels.add('math-1', [
      operation('math.large', () => {
        made++;
        return Promise.resolve(large(5000));
      }),
      length,
    ]);
    const make = kernels.capability('math-1', 'math.large', { step: STEP });
    const run = async (attempt: number): Promise<unknown> => {
      const reply = kernels.reply('math-1');
      const chain = kernels.chain([make, kernels.capability('math-1', 'math.length')], reply);
      await kernels.dispatch('math-1', { ...chain, attempt });
      return toPlain(resultOf(await reply.outcome));
    };
    assert.equal([await run(1), await run(2), made], ['5000', '5000', 1]);
    kernels.release('math-1', make, 2);
    assert.equal([await run(3), made], ['5000', 2]);
    kernels.release('math-1', make, 3);
  });
});

suite('content that an operation yields without loading it', (test) => {
  const kept = (sizeBytes: number, disposed: () => void): KeptResult => {
    const content = new BufferContent(Buffer.alloc(sizeBytes, 1));
    return new KeptResult(
      Object.assign(Object.create(content) as BufferContent, {
        sizeBytes,
        read: content.read.bind(content),
        [Symbol.asyncDispose]: async () => {
          disposed();
          await content[Symbol.asyncDispose]();
        },
      }),
      bytesValue('text/plain', new Uint8Array()),
    );
  };

  test('travels as an ordinary value when it is small, and is disposed of at once', async () => {
    await using kernels = new Kernels(LIMITS);
    let disposed = 0;
    const make = operation('math.kept', () => kept(100, () => disposed++));
    kernels.add('math-1', [make]);
    const reply = kernels.reply('math-1');
    await kernels.dispatch(
      'math-1',
      kernels.chain([kernels.capability('math-1', 'math.kept')], reply),
    );
    const { kind } = resultOf(await reply.outcome);
    assert.is(kind?.$case === 'bytes' ? kind.value.data.length : 0, 100);
    assert.is(disposed, 1);
  });

  test('is kept until the run ends, and disposed of once', async () => {
    await using kernels = new Kernels(LIMITS);
    let disposed = 0;
    const make = operation('math.kept', () => kept(2000, () => disposed++));
    kernels.add('math-1', [make, length]);
    const reply = kernels.reply('math-1');
    const step = kernels.capability('math-1', 'math.kept', { step: STEP });
    await kernels.dispatch(
      'math-1',
      kernels.chain([step, kernels.capability('math-1', 'math.length')], reply),
    );
    assert.is(toPlain(resultOf(await reply.outcome)), '2000');
    assert.is(disposed, 0);
    kernels.release('math-1', step);
    kernels.release('math-1', step);
    assert.is(disposed, 1);
  });
});
