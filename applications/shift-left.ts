import { defineApplication, integer, math, repeat, sequence, storage, text } from './sdk/index.js';
import { invalidArgument } from '../runtime/errors.js';

/** Doublings that fit into one graph beside the reading and the writing. */
const MAX_DOUBLINGS = 1000n;

/** n * 2^m the long way round: n is read from storage, doubled m times by math nodes, and the answer is stored. */
export const application = defineApplication({
  summary: 'n * 2^m by a chain of m doublings, from storage to storage',
  options: {
    n: integer('number to shift', { default: '7' }),
    m: integer('how many places', { default: '9' }),
    client: text('whose folder in storage', { default: 'admin' }),
  },
  async run({ options: { n, m, client }, dataCenter }) {
    if (m < 0n || m > MAX_DOUBLINGS)
      throw invalidArgument('--m', `expected 0 to ${String(MAX_DOUBLINGS)}, found ${String(m)}`);
    const operand = { client, name: `shift-left-${String(n)}.txt` };
    const answer = { client, name: `shift-left-${String(n)}-by-${String(m)}.txt` };
    await dataCenter.files.write(operand, String(n));
    const run = await dataCenter.run(
      sequence(
        storage.read({ ...operand, as: 'integer' }),
        repeat(Number(m), math.shiftLeft({ m: 1n })),
        storage.write(answer),
      ),
    );
    const stored = await dataCenter.files.read(answer);
    return {
      answer: {
        n: String(n),
        m: String(m),
        result: stored.toString(),
        storedAs: `${answer.client}/${answer.name}`,
      },
      runs: [run],
    };
  },
});
