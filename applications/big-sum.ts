import { defineApplication, integer, map, math, sequence } from './sdk/index.js';
import { FractoryError, invalidArgument } from '../runtime/errors.js';

/** Ranges of one run, and of those at work at a time. */
const MAX_PARTS = 10_000n;
const MAX_PARALLELISM = 64n;

/** 1^e + 2^e + ... + n^e: split into ranges, each range summed by whichever math node has its turn, and the sums added. Exact. */
export const application = defineApplication({
  summary: '1^e + 2^e + ... + n^e, summed in parts by all math nodes',
  options: {
    n: integer('last number', { default: '100000' }),
    exponent: integer('power of each', { default: '3' }),
    parts: integer('ranges that 1..n is split into', { default: '8' }),
    parallelism: integer('ranges under way at a time', { default: '8' }),
  },
  async run({ options: { n, exponent, parts, parallelism }, dataCenter }) {
    checkRange('--n', n, 0n);
    checkRange('--exponent', exponent, 0n);
    checkRange('--parts', parts, 1n, MAX_PARTS);
    checkRange('--parallelism', parallelism, 1n, MAX_PARALLELISM);
    const graph = sequence(
      math.split({ input: n, parts }),
      map(math.sumPowers({ exponent }), { parallelism: Number(parallelism) }),
      math.sum(),
    );
    const run = await dataCenter.run(graph).catch((error: unknown) => {
      throw withAdvice(error);
    });
    const members = new Set(
      run.receipts
        .filter(({ operation }) => operation === 'math.sum_powers')
        .map(({ member }) => member),
    );
    return {
      answer: {
        n: String(n),
        exponent: String(exponent),
        sum: String(run.result),
        // Without numbers there are no ranges, and nobody sums them.
        ...(members.size > 0 && { summedBy: [...members].sort().join(', ') }),
      },
      runs: [run],
    };
  },
});

/** A range that is too long for a node says which option makes it shorter. */
function withAdvice(error: unknown): unknown {
  if (!(error instanceof FractoryError) || error.metadata['limit'] !== 'max_terms') return error;
  const { code, reason, message, metadata } = error;
  const advised = `${message}; more --parts make the ranges shorter`;
  return new FractoryError(code, reason, advised, { metadata, cause: error });
}

function checkRange(flag: string, value: bigint, least: bigint, most?: bigint): void {
  if (value >= least && (most === undefined || value <= most)) return;
  const expected =
    most === undefined ? `${String(least)} or more` : `${String(least)} to ${String(most)}`;
  throw invalidArgument(flag, `expected ${expected}, found ${String(value)}`);
}
