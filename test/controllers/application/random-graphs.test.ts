import { seededRandom } from '../../../runtime/seeded-random.js';
import type { Random } from '../../../runtime/seeded-random.js';
import { compose } from '../../../controllers/application/compose.js';
import { plan } from '../../../controllers/application/plan.js';
import { Runner } from '../../../controllers/application/runner.js';
import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { Graph, Step } from '../../../protos/gen/fractory/v1/graph.js';
import { integerValue, listValue, toPlain } from '../../../protos/values.js';
import { silentLogger } from '../../../runtime/logger.js';
import { RunRecord } from '../../../services/application/run-record.js';
import { assert, suite } from '../../suite.js';
import { graph, step } from '../../services/application/graphs.js';
import { MemoryAccess } from './kernel-access.js';
import { Operations } from './operations.js';

interface Drawn {
  readonly graph: Graph;
  /** What each end comes to, in the order of the steps. */
  readonly results: readonly string[];
}

/** Each step adds up what up to four steps before it came to; steps without any begin with their number. Sent in any order. */
function draw(seed: number, most: number): Drawn {
  const next = seededRandom(seed);
  const count = 1 + Math.floor(next() * most);
  const values: bigint[] = [];
  const steps: { step: Step; order: number; place: number }[] = [];
  const edges: string[] = [];
  const hasNext = new Set<number>();
  for (let place = 0; place < count; place++) {
    const before = new Set<number>();
    for (let tries = Math.floor(next() * 5); tries > 0 && place > 0; tries--)
      before.add(Math.floor(next() * place));
    for (const [index, from] of [...before].entries()) {
      edges.push(`s${String(from)}>s${String(place)}.input[${String(index)}]`);
      hasNext.add(from);
    }
    const own = BigInt(place + 1);
    values.push(
      before.size === 0 ? own : [...before].reduce((sum, from) => sum + values[from]!, 0n),
    );
    const args = before.size === 0 ? { input: listValue([integerValue(own)]) } : {};
    steps.push({ step: step(`s${String(place)}`, 'math.sum', args), order: next(), place });
  }
  steps.sort((one, other) => one.order - other.order);
  return {
    graph: graph(
      steps.map((one) => one.step),
      ...edges,
    ),
    results: steps
      .filter(({ place }) => !hasNext.has(place))
      .map(({ place }) => String(values[place])),
  };
}

/** A piece of a graph with one way in and one way out, and what it makes of a value; undefined = it fails. */
interface Piece {
  readonly steps: readonly Step[];
  readonly edges: readonly string[];
  readonly first: string;
  readonly last: string;
  /** Steps whose failure nobody in the piece takes. */
  readonly open: readonly string[];
  value(input: bigint): bigint | undefined;
}

/** Pieces in a row, side by side, and with handlers, down to single steps. */
class Pieces {
  readonly #next: Random;
  #ids = 0;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
  }

  piece(depth: number): Piece {
    const choice = depth === 0 ? this.#next() * 0.4 : this.#next();
    if (choice < 0.2) return this.#single('math.add', (input) => input + 1n);
    if (choice < 0.4)
      return this.#single('math.even', (input) => (input % 2n === 0n ? input : undefined));
    const [one, other] = [this.piece(depth - 1), this.piece(depth - 1)];
    if (choice < 0.6) return inARow(one, other);
    return choice < 0.8 ? this.#sideBySide(one, other) : this.#rescued(inARow(one, other));
  }

  #single(operation: string, value: Piece['value']): Piece {
    const id = `s${String(this.#ids++)}`;
    return { steps: [step(id, operation)], edges: [], first: id, last: id, open: [id], value };
  }

  #sideBySide(one: Piece, other: Piece): Piece {
    const start = this.#single('math.add', (input) => input + 1n);
    const sum = `s${String(this.#ids++)}`;
    return {
      ...{ first: start.first, last: sum },
      steps: [...start.steps, ...one.steps, ...other.steps, step(sum, 'math.sum')],
      edges: [
        ...[...one.edges, ...other.edges],
        ...[`${start.first}>${one.first}`, `${start.first}>${other.first}`],
        ...[`${one.last}>${sum}.input[0]`, `${other.last}>${sum}.input[1]`],
      ],
      open: [...start.open, ...one.open, ...other.open, sum],
      value: (input) => {
        const [left, right] = [one.value(input + 1n), other.value(input + 1n)];
        return left === undefined || right === undefined ? undefined : left + right;
      },
    };
  }

  #rescued(inner: Piece): Piece {
    const handler = `s${String(this.#ids++)}`;
    const end = this.#single('math.add', (input) => input + 1n);
    return {
      ...{ first: inner.first, last: end.last },
      steps: [...inner.steps, step(handler, 'math.rescue'), ...end.steps],
      edges: [
        ...inner.edges,
        ...inner.open.map((id) => `!${id}>${handler}`),
        ...[`${inner.last}>${end.first}`, `${handler}>${end.first}`],
      ],
      open: [handler, ...end.open],
      value: (input) => (inner.value(input) ?? -1n) + 1n,
    };
  }
}

function inARow(one: Piece, other: Piece): Piece {
  return {
    ...{ first: one.first, last: other.last },
    steps: [...one.steps, ...other.steps],
    edges: [...one.edges, ...other.edges, `${one.last}>${other.first}`],
    open: [...one.open, ...other.open],
    value: (input) => {
      const between = one.value(input);
      return between === undefined ? undefined : other.value(between);
    },
  };
}

const SEEDS = Array.from({ length: 60 }, (_, index) => 1000 + index);

suite('random graphs', (test) => {
  for (const topology of [Topology.RING, Topology.STAR])
    test(`as ${topology === Topology.RING ? 'ring' : 'star'}: every step is done once, and the results are right`, async () => {
      for (const seed of SEEDS) {
        await using access = new MemoryAccess();
        const operations = new Operations();
        for (const member of [1, 2, 3])
          access.join(`math-${String(member)}`, operations.all, member);
        const { graph: drawn, results } = draw(seed, 30);
        const run = new RunRecord({
          ...{ id: 'r', graph: drawn, topology, budgetMs: 5000, startedAtMs: 1 },
        });
        await new Runner(access, silentLogger()).execute(run);
        const what = `seed ${String(seed)}`;
        assert.is(run.ended?.failure?.message, undefined, what);
        const plain = toPlain(run.ended?.result);
        assert.equal(results.length === 1 ? [plain] : plain, results, what);
        const ids = drawn.steps.map(({ id }) => id).sort();
        assert.equal(operations.begun.map((key) => key.slice(2)).sort(), ids, what);
        assert.equal(run.ended?.receipts.map((receipt) => receipt.step).sort(), ids, what);
      }
    });

  for (const topology of [Topology.RING, Topology.STAR])
    test(`as ${topology === Topology.RING ? 'ring' : 'star'}: what fails is handled by the handlers around it`, async () => {
      for (const seed of SEEDS) {
        await using access = new MemoryAccess();
        const operations = new Operations();
        for (const member of [1, 2]) access.join(`math-${String(member)}`, operations.all, member);
        const drawn = new Pieces(seed).piece(4);
        const input = BigInt(seed % 2);
        const steps = drawn.steps.map((one) =>
          one.id === drawn.first
            ? { ...one, arguments: [{ name: 'input', value: integerValue(input) }] }
            : one,
        );
        const run = new RunRecord({
          ...{ id: 'r', graph: graph(steps, ...drawn.edges), topology },
          ...{ budgetMs: 5000, startedAtMs: 1 },
        });
        await new Runner(access, silentLogger()).execute(run);
        const what = `seed ${String(seed)}, ${String(steps.length)} steps`;
        const expected = drawn.value(input);
        if (expected === undefined) assert.is(run.ended?.failure?.reason, 'ODD', what);
        else assert.equal(run.ended?.result, integerValue(expected), what);
        assert.is(new Set(operations.begun).size, operations.begun.length, `${what}: done twice`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });

  test('what is composed grows with steps and edges, not with paths', async () => {
    for (const seed of SEEDS) {
      await using access = new MemoryAccess();
      access.join('math-1', new Operations().all);
      const { graph: drawn } = draw(seed, 300);
      const options = { run: 'r', graph: drawn, deadlineMs: Date.now() + 5000 };
      const planned = await plan(access, options, new AbortController().signal);
      const reply = access.addReply(() => undefined);
      const { heads, shared } = compose(planned.graph, reply);
      reply.revoke();
      const bytes = [...heads, ...shared].reduce((sum, one) => sum + one.length, 0);
      const parts = drawn.steps.length + drawn.edges.length;
      assert.ok(bytes < 400 * parts, `seed ${String(seed)}: ${String(bytes / parts)} bytes a part`);
    }
  });
});
