import {
  applicationNode,
  join,
  map,
  math,
  onFailure,
  parallel,
  sequence,
  step,
  storage,
  withLimits,
} from '../../applications/sdk/index.js';
import type { Flow, None, Text } from '../../applications/sdk/index.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, rejects } from '../suite.js';
import { GRAPH_TIMEOUT_MS } from './graph-ground.js';
import type { GraphClaims } from './graph-ground.js';

/** 1^e + ... + n^e by Faulhaber's formulas. */
const closedFormulas: readonly ((n: bigint) => bigint)[] = [
  (n) => n,
  (n) => (n * (n + 1n)) / 2n,
  (n) => (n * (n + 1n) * (2n * n + 1n)) / 6n,
  (n) => ((n * (n + 1n)) / 2n) ** 2n,
  (n) => (n * (n + 1n) * (2n * n + 1n) * (3n * n * n + 3n * n - 1n)) / 30n,
];

/** Flows of the SDK, and the application that sums. */
export const flowClaims: GraphClaims = (test, ground) => {
  const { topology } = ground;

  test(
    `big-sum as a ${topology} is exact, and all math nodes take part`,
    async () => {
      const dataCenter = await ground.live();
      // On a busy machine a member may be passed over for a while.
      const summedBy = new Set<string>();
      for (const [exponent, formula] of closedFormulas.entries()) {
        const n = 12_345n * 10n ** BigInt(Math.max(0, 2 - exponent));
        const parts = String(7 + exponent);
        const args = ['--n', String(n), '--exponent', String(exponent), '--parts', parts];
        const answer = await dataCenter.json<{ sum: string; summedBy: string }>(
          ...['run', 'big-sum', ...args, '--topology', topology],
        );
        assert.is(answer.sum, String(formula(n)), `exponent ${String(exponent)}`);
        for (const member of answer.summedBy.split(', ')) summedBy.add(member);
      }
      assert.equal([...summedBy].sort(), ['math-1', 'math-2']);
      const none = await dataCenter.json<Record<string, string>>('run', 'big-sum', '--n', '0');
      assert.equal([none['sum'], none['summedBy']], ['0', undefined]);
    },
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );

  test(
    `flows of all forms yield what they say as a ${topology}`,
    async () => {
      using dataCenter = await ground.connected();
      await dataCenter.files.write({ client: 'flows', name: 'five.txt' }, '5');
      const five = storage.read({ client: 'flows', name: 'five.txt', as: 'integer' });
      const explain = applicationNode.explain();
      const result = async <Out>(flow: Flow<None, Out>) => (await dataCenter.run(flow)).result;

      const both = parallel(math.factorial(), math.add({ by: 1n }));
      assert.equal(await result(sequence(five, both)), [120n, 6n]);
      const named = sequence(
        parallel(five, math.factorial({ input: 3n })),
        join(['input', 'by'], math.multiply()),
      );
      assert.is(await result(named), 30n);
      assert.equal(await result(map(both, { elements: [4n, 10n], parallelism: 1 })), [
        [24n, 5n],
        [3628800n, 11n],
      ]);
      const inner = sequence(math.split({ parts: 2n }), map(math.sumPowers({ exponent: 1n })));
      assert.equal(await result(map(inner, { elements: [4n, 10n] })), [
        [3n, 7n],
        [15n, 40n],
      ]);
      assert.equal(await result(map(math.factorial(), { elements: [] })), []);

      const negative = math.factorial({ input: -1n });
      const [failed, done] = await result(
        parallel(onFailure(negative, explain), math.factorial({ input: 4n })),
      );
      assert.is(done, 24n);
      assert.ok(typeof failed === 'object');
      assert.equal(
        [failed.failed, failed.step, failed.reason],
        [true, 'factorial-1', 'OUT_OF_RANGE'],
      );
      assert.is(await result(onFailure(five, explain)), 5n);
      const alone = map(math.factorial(), { elements: [1n, -4n] });
      const error = await rejects(dataCenter.run(alone), FractoryError, {
        reason: 'OUT_OF_RANGE',
      });
      assert.is(error.metadata['step'], 'factorial-2[1]');
      const slow = step<None, Text>('math.evaluate', {
        expression: 'sum(map(1:100000, f(x) = x^2))',
      });
      await rejects(dataCenter.run(withLimits(slow, { timeoutMs: 1 })), FractoryError, {
        reason: 'STEP_TIMEOUT',
      });
    },
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );

  test(
    `content of any size is complemented as a ${topology}`,
    async () => {
      using dataCenter = await ground.connected();
      for (const sizeBytes of [0, 5, 65_536, 3_000_001]) {
        const content = Buffer.from({ length: sizeBytes, 0: 7, 4: 255 });
        const [from, to] = ['content', 'complement'].map((name) => ({ client: 'flows', name }));
        if (!from || !to) throw new Error('two names');
        await dataCenter.files.write(from, content);
        await dataCenter.run(sequence(storage.read(from), math.complement(), storage.write(to)));
        const complement = await dataCenter.files.read(to);
        assert.ok(complement.equals(Buffer.from(content.map((byte) => 255 - byte))));
        // The result of a run comes whole, wherever it was kept.
        const twice = await dataCenter.run(sequence(storage.read(to), math.complement()));
        assert.ok(content.equals(twice.result.data));
      }
    },
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );
};
