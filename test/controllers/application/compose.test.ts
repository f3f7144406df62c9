import { compose } from '../../../controllers/application/compose.js';
import type { Composition } from '../../../controllers/application/compose.js';
import { plan } from '../../../controllers/application/plan.js';
import type { PlannedGraph } from '../../../controllers/application/plan.js';
import { encodeContinuation } from '../../../controllers/kernel/graph/continuation.js';
import { ContinuationHead, MapContinuation } from '../../../protos/gen/fractory/v1/controller.js';
import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import { integerValue, listValue } from '../../../protos/values.js';
import { assert, suite } from '../../suite.js';
import { chain, graph, map, one, step } from '../../services/application/graphs.js';
import { MemoryAccess } from './kernel-access.js';
import { Operations } from './operations.js';

async function planned(sent: Graph, members = 1): Promise<PlannedGraph> {
  const access = new MemoryAccess({ max_steps: 20_000 });
  for (let member = 1; member <= members; member++)
    access.join(`math-${String(member)}`, new Operations().all, member);
  const deadlineMs = 1_800_000_000_000;
  const { signal } = new AbortController();
  return (await plan(access, { run: 'r', graph: sent, deadlineMs }, signal)).graph;
}

const access = new MemoryAccess();
const reply = access.addReply(() => undefined);

async function composed(sent: Graph, members = 1): Promise<Composition> {
  return compose(await planned(sent, members), reply);
}

function bytesOf({ heads, shared, maps }: Composition): number {
  const all = [...heads, ...shared, ...maps.map(({ head }) => head)];
  return all.reduce((sum, bytes) => sum + bytes.length, 0);
}

const decode = (bytes: Uint8Array | undefined): ContinuationHead =>
  ContinuationHead.decode(bytes ?? new Uint8Array());

/** s0 splits in two, which join again, `count` times. */
function diamonds(count: number): Graph {
  const steps = [step('j0', 'math.add', { input: one })];
  const edges: string[] = [];
  for (let diamond = 1; diamond <= count; diamond++) {
    const [before, left, right, join] = ['j', 'l', 'r', 'j'].map(
      (name, index) => `${name}${String(index === 0 ? diamond - 1 : diamond)}`,
    );
    steps.push(step(left!), step(right!), step(join!, 'math.join'));
    edges.push(`${before!}>${left!}`, `${before!}>${right!}`);
    edges.push(`${left!}>${join!}.left`, `${right!}>${join!}.right`);
  }
  return graph(steps, ...edges);
}

suite('compose', (test) => {
  test('a chain is nested, as compactly as can be', async () => {
    const whole = await planned(chain(5, 1n));
    let expected = encodeContinuation(reply.success, 'result');
    for (const { places } of whole.steps.toReversed())
      expected = encodeContinuation(places[0]!.capability, 'input', [expected]);
    const { heads, shared, maps } = compose(whole, reply);
    assert.equal([Buffer.compare(heads[0]!, expected), heads.length, shared, maps], [0, 1, [], []]);
  });

  test('a chain of 1024 steps is composed', async () => {
    assert.is((await composed(chain(1024, 1n))).heads.length, 1);
  });

  test('a chain of diamonds grows with the number of diamonds', async () => {
    const [small, large] = [await composed(diamonds(20)), await composed(diamonds(200))];
    const growth = bytesOf(large) / bytesOf(small);
    assert.ok(growth > 8 && growth < 11, `grew ${String(growth)} times`);
    assert.is(large.shared.length, 200);
  });

  test('a join stands in the table once, and both sides refer to it with their argument', async () => {
    const { heads, shared } = await composed(diamonds(1));
    const [left, right] = decode(heads[0]).onSuccess.map(decode);
    const [toLeft, toRight] = [decode(left?.onSuccess[0]), decode(right?.onSuccess[0])];
    assert.equal([toLeft.shared, toLeft.argument], [1, 'left']);
    assert.equal([toRight.shared, toRight.argument], [1, 'right']);
    assert.is(decode(shared[0]).onSuccess.length, 1);
  });

  test('a failure edge counts for its step only: what follows tells the run again', async () => {
    const sent = graph(
      [step('a', 'math.add', { input: one }), step('h', 'math.rescue'), step('b'), step('c')],
      ...['a>b', '!a>h', 'h>b', 'b>c'],
    );
    const { heads, shared } = await composed(sent);
    const a = decode(heads[0]);
    const [handler] = a.onFailure.map(decode);
    assert.is(handler?.capability?.owner, 'math-1');
    const toJoin = decode(a.onSuccess[0]);
    const join = decode(shared[toJoin.shared - 1]);
    const told = decode(join.onFailure[0]);
    assert.equal(decode(shared[told.shared - 1]).capability, reply.failure);
    // c inherits from b; the handler's own failures are told explicitly.
    assert.is(decode(join.onSuccess[0]).onFailure.length, 0);
    assert.is(handler?.onFailure.length, 1);
  });

  test('steps with the same handler in a row name it once', async () => {
    const { steps, edges } = chain(10, 1n);
    const failures = steps.map(({ id }) => ({ from: id, to: 'h', argument: '', onFailure: true }));
    const { heads } = await composed({
      ...{ name: '', steps: [...steps, step('h', 'math.rescue')] },
      edges: [...edges, ...failures],
    });
    let explicit = 0;
    for (let head = decode(heads[0]); head.capability?.owner === 'math-1';) {
      explicit += head.onFailure.length;
      head = decode(head.onSuccess[0]);
    }
    assert.is(explicit, 1);
  });

  test('several ends are named by number', async () => {
    const sent = graph([step('a', 'math.add', { input: one }), step('b'), step('c')], 'a>b', 'a>c');
    const { heads } = await composed(sent);
    const ends = decode(heads[0]).onSuccess.map((next) => decode(decode(next).onSuccess[0]));
    assert.equal(
      ends.map(({ argument, capability }) => [argument, capability?.object]),
      [
        ['0', reply.success.object],
        ['1', reply.success.object],
      ],
    );
  });

  test('a map has a branch for each member, at most 16, and its items end in the map', async () => {
    const sent = graph([
      map(
        'm',
        graph([step('a'), step('b')], '>a', 'a>b'),
        { input: listValue(Array<typeof one>(40).fill(one)) },
        3,
      ),
    ]);
    const { heads, maps } = await composed(sent, 3);
    assert.equal([heads, maps.length], [[], 1]);
    const decoded = MapContinuation.decode(decode(maps[0]?.head).map);
    assert.equal([decoded.step, decoded.parallelism, decoded.branches.length], ['m', 3, 3]);
    const owners = decoded.branches.map(({ heads: [head] }) => [
      head?.capability?.owner,
      head?.onSuccess[0]?.capability?.owner,
    ]);
    assert.equal(
      new Set(owners.map(String)),
      new Set(['math-1,math-1', 'math-2,math-2', 'math-3,math-3']),
    );
    const [end] = decoded.branches[0]?.heads[0]?.onSuccess[0]?.onSuccess ?? [];
    assert.is(end?.itemResult, true);
    const many = MapContinuation.decode(decode((await composed(sent, 20)).maps[0]?.head).map);
    assert.is(many.branches.length, 16);
  });

  test('a short list has no more branches than elements', async () => {
    const sent = graph([map('m', graph([step('a')], '>a'), { input: listValue([one, one]) })]);
    const { maps } = await composed(sent, 5);
    assert.is(MapContinuation.decode(decode(maps[0]?.head).map).branches.length, 2);
  });

  test('long chains inside a map are not nested deeply', async () => {
    const { steps, edges } = chain(300, 0n);
    const inner = {
      name: '',
      steps: [step('s0'), ...steps.slice(1)],
      edges: [...edges, { from: '', to: 's0', argument: '', onFailure: false }],
    };
    const { maps } = await composed(
      graph([map('m', inner, { input: listValue([integerValue(1n)]) })]),
    );
    const [branch] = MapContinuation.decode(decode(maps[0]?.head).map).branches;
    assert.is(branch?.shared.length, 4);
  });
});
