import { status } from '@grpc/grpc-js';

import type { Graph } from '../../../../protos/gen/fractory/v1/graph.js';
import { integerValue, listValue, textValue } from '../../../../protos/values.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { checkGraph, orderGraph } from '../../../../services/application/graph/check.js';
import type { CheckedGraph } from '../../../../services/application/graph/checked-graph.js';
import { assert, suite, throws } from '../../../suite.js';
import { chain, graph, map, name, one, operations, step } from '../graphs.js';

function check(sent: Graph, maxSteps = 10_000): CheckedGraph {
  return checkGraph(orderGraph(sent, maxSteps), operations);
}

/** What is wrong with a graph. */
function violations(bad: Graph): string[] {
  const error = throws(() => check(bad), FractoryError, {
    code: status.INVALID_ARGUMENT,
    reason: 'BAD_GRAPH',
  });
  return error.violations.map(({ field, description }) => `${field}: ${description}`);
}

const [a, b, c] = [step('a', 'math.add', { input: one }), step('b'), step('c')];

const rows: [string, Graph, ...RegExp[]][] = [
  ['no step', graph([]), /^graph.steps: a graph has at least one step$/],
  [
    'a step without an id',
    graph([step('', 'math.add', { input: one })]),
    /steps\[0\].id: "" is not an id/,
  ],
  [
    'an id with a slash',
    graph([step('a/b', 'math.add', { input: one })]),
    /steps\[0\].id: "a\/b" is not an id/,
  ],
  [
    'an id that is too long',
    graph([step('x'.repeat(65), 'math.add', { input: one })]),
    /is not an id/,
  ],
  [
    'an id for two steps',
    graph([a, { ...b, id: 'a' }], 'a>a'),
    /steps\[1\].id: a stands for two steps/,
  ],
  [
    'an operation without a type',
    graph([step('a', 'add')]),
    /steps\[0\].operation: "add" is not of the form type.operation/,
  ],
  ['an edge from nowhere', graph([a], 'x>a'), /edges\[0\].from: there is no step x/],
  ['an edge to nowhere', graph([a], 'a>x'), /edges\[0\].to: there is no step x/],
  ['an edge from the element, outside of a map', graph([b], '>b'), /from: is empty, which only/],
  ['an edge twice', graph([a, b], 'a>b', 'a>b.input'), /edges\[1\]: is there twice/],
  ['an edge to no name', graph([a, b], 'a>b.x[z]'), /"x\[z\]" is not the name of an argument/],
  ['a cycle', graph([a, b], 'a>b', 'b>a'), /they form a cycle: [ab] -> [ab] -> [ab]/],
  ['a step that follows itself', graph([a], 'a>a'), /cycle: a -> a/],
  [
    'a cycle after the beginning, without what follows it',
    graph([a, b, c, step('d')], 'a>b', 'c>b.by', 'b>c', 'c>d'),
    /they form a cycle: (b -> c -> b|c -> b -> c)$/,
  ],
  [
    'a cycle by a failure edge',
    graph([a, step('b', 'math.save')], 'a>b', '!b>a'),
    /they form a cycle/,
  ],
  [
    'a list with a gap',
    graph([a, { ...a, id: 'b' }, step('c', 'math.sum')], 'a>c.input[0]', 'b>c.input[2]'),
    /no edge leads to input\[1\] of step c, but one to input\[2\] does/,
  ],
  [
    'a list and its elements',
    graph(
      [a, step('l', 'math.split', { input: one }), step('c', 'math.sum')],
      ...['l>c', 'a>c.input[0]'],
    ),
    /step c takes input both whole and by its elements/,
  ],
  [
    'elements where there is no list',
    graph([a, b], 'a>b.input[0]'),
    /argument input\[0\]: math.add takes integer as input, not a list/,
  ],
  [
    'a failure where none is taken',
    graph([a, b], '!a>b'),
    /argument input: a failure of a leads here, math.add takes integer/,
  ],
  [
    'alternatives of which one does not fit',
    graph([a, step('f', 'text.read', { name }), c], 'a>c', 'f>c'),
    /text.read yields text or bytes, math.add takes integer/,
  ],
  [
    'a join of what never comes together',
    graph([a, step('h', 'math.save'), step('j', 'math.join')], 'a>j.left', '!a>h', 'h>j.right'),
    /j can never begin: of what it waits for, not all can come in one run/,
  ],
  [
    'a handler that ends in place of two ends',
    graph([a, b, c, step('h', 'math.save')], 'a>b', 'a>c', '!a>h'),
    /when a fails, the result of h takes the place of that of b, c/,
  ],
  [
    'a handler that stands in for different ends',
    graph([a, { ...a, id: 'b' }, step('h', 'math.save')], '!a>h', '!b>h'),
    /h stands in for different ends/,
  ],
  [
    'a handled failure after which a join is never filled',
    graph(
      [
        a,
        { ...a, id: 'b' },
        step('j', 'math.join'),
        step('h', 'math.save'),
        step('k', 'math.join'),
      ],
      ...['a>j.left', 'b>j.right', '!a>h', 'h>k.left', 'j>k.right'],
    ),
    /k can never begin/,
  ],
  [
    'retries of what must not be done twice',
    graph([step('f', 'text.append', { input: name }, { retries: 2 })]),
    /step f, retries: text.append is not idempotent/,
  ],
  [
    'too many retries',
    graph([{ ...a, retries: 101 }]),
    /steps\[0\].retries: is 101, the most is 100/,
  ],
  [
    'a map without a graph',
    graph([{ ...map('m', graph([])), map: { graph: undefined, parallelism: 0 } }]),
    /steps\[0\].map.graph: is missing/,
  ],
  [
    'a map with an operation, a time and retries',
    graph([
      {
        ...map('m', graph([b], '>b'), { input: listValue([one]) }),
        ...{ operation: 'math.add', timeoutMs: 5, retries: 1 },
      },
    ]),
    ...[/operation: a map has no/, /timeout_ms: is for/, /retries: is for/],
  ],
  [
    'a map of no list',
    graph([map('m', graph([b], '>b'))]),
    /step m, argument input: a map needs a list/,
  ],
  [
    'a map of something else',
    graph([a, map('m', graph([b], '>b'))], 'a>m'),
    /math.add yields integer, map m takes list/,
  ],
  [
    'a map with an element that does not fit',
    graph([map('m', graph([b], '>b'), { input: listValue([one, name]) })]),
    /has an element that is text, step b takes integer/,
  ],
  [
    'two lists for a map',
    graph(
      [
        step('k', 'math.split', { input: one }),
        step('l', 'math.split', { input: one }),
        map('m', graph([b], '>b')),
      ],
      ...['k>m', 'l>m'],
    ),
    /map m would get several lists, from k, l/,
  ],
  [
    'a step in a map that nothing leads to',
    graph([map('m', graph([a, b], '>b'), { input: listValue([one]) })]),
    /steps\[0\].map.graph.edges: no edge leads to step a/,
  ],
  [
    'an id inside a map that is outside too',
    graph([a, map('m', graph([step('a')], '>a'), { input: listValue([one]) })]),
    /steps\[1\].map.graph.steps\[0\].id: a stands for two steps/,
  ],
  [
    'an unknown operation',
    graph([step('a', 'math.sub')]),
    /step a: there is no operation math.sub; there are math.add, math.join/,
  ],
  [
    'an unknown argument',
    graph([step('a', 'math.add', { input: one, bye: one })]),
    /argument bye: math.add takes input, by/,
  ],
  [
    'an argument of the wrong kind',
    graph([step('a', 'math.add', { input: textValue('1') })]),
    /argument input: is text, expected integer/,
  ],
  [
    'an argument without a value',
    graph([step('a', 'math.add', { input: {} })]),
    /is empty, expected integer/,
  ],
  ['a missing argument', graph([step('a', 'math.add')]), /argument input: math.add needs it/],
  [
    'an argument given twice',
    graph([{ ...a, arguments: [...a.arguments, ...a.arguments] }]),
    /argument input: is given twice/,
  ],
  [
    'an argument that is also the end of an edge',
    graph([a, step('b', 'math.add', { input: one })], 'a>b'),
    /is given and is also the end of an edge/,
  ],
  [
    'an edge to an argument that is not there',
    graph([a, step('b', 'math.add', { input: one })], 'a>b.xyz'),
    /takes no argument xyz, so no edge can lead there/,
  ],
  [
    'kinds that do not fit',
    graph([step('a', 'text.read', { name }), b], 'a>b'),
    /text.read yields text or bytes, math.add takes integer/,
  ],
];

suite('graph check', (test) => {
  for (const [what, bad, ...expected] of rows)
    test(`${what} is refused`, () => {
      const found = violations(bad);
      assert.is(found.length, expected.length, found.join('\n'));
      for (const [index, pattern] of expected.entries()) assert.match(found[index]!, pattern);
    });

  test('all that is wrong is told at once', () => {
    const bad = graph(
      [step('a', 'math.sub'), step('b', 'math.add', { by: name }), step('c', 'text.read')],
      'a>b',
      'b>c',
    );
    assert.is(violations(bad).length, 4);
  });

  test('steps come out in the order of the edges, whatever the order they came in', () => {
    const checked = check(graph([c, b, a], 'b>c', 'a>b'));
    assert.equal(
      checked.steps.map(({ id, incoming }) => [id, incoming.map(({ argument }) => argument)]),
      [
        ['a', []],
        ['b', ['input']],
        ['c', ['input']],
      ],
    );
    assert.equal(checked.entries, [{ to: 'a', argument: undefined }]);
    assert.equal(
      checked.steps.map(({ gate, end }) => [gate, end]),
      [
        [[], undefined],
        [[], undefined],
        [[], 0],
      ],
    );
  });

  test('an edge may lead to any argument', () => {
    const joined = graph([a, step('b', 'math.join', { left: integerValue(2n) })], 'a>b.right');
    assert.is(check(joined).steps[1]?.incoming[0]?.argument, 'right');
  });

  test('a step with several edges in waits for its arguments, a list for its elements', () => {
    const checked = check(
      graph(
        [a, { ...a, id: 'b' }, step('j', 'math.join'), step('s', 'math.sum')],
        ...['a>j.left', 'b>j.right', 'j>s.input[1]', 'a>s.input[0]'],
      ),
    );
    assert.equal(
      checked.steps.map(({ id, gate }) => [id, gate]),
      [
        ['a', []],
        ['b', []],
        ['j', ['left', 'right']],
        ['s', ['input[1]', 'input[0]']],
      ],
    );
    assert.is(checked.ends, 1);
  });

  test('several ends are results in the order of the steps as they were sent', () => {
    const checked = check(graph([c, b, a], 'a>b', 'a>c'));
    const ends = Object.fromEntries(checked.steps.map(({ id, end }) => [id, end]));
    assert.equal([checked.ends, ends], [2, { a: undefined, b: 1, c: 0 }]);
  });

  test('a handler that ends takes the place of the end that is missed', () => {
    const checked = check(
      graph(
        [a, { ...a, id: 'x' }, b, step('h', 'math.save'), step('g', 'math.save')],
        ...['a>b', '!a>h', '!b>h', '!h>g'],
      ),
    );
    const ends = Object.fromEntries(checked.steps.map(({ id, end }) => [id, end]));
    assert.equal([checked.ends, ends], [2, { a: undefined, x: 0, b: 1, h: 1, g: 1 }]);
    assert.equal(checked.steps.find(({ id }) => id === 'h')?.gate, ['input']);
    assert.equal(checked.steps.find(({ id }) => id === 'g')?.gate, []);
  });

  test('a handler may rejoin the flow', () => {
    const checked = check(graph([a, step('h', 'math.save'), c], 'a>c', '!a>h', 'h>c'));
    assert.equal([checked.ends, checked.steps.at(-1)?.gate], [1, ['input']]);
  });

  test('a step may go on whether the one before fails or not', () => {
    assert.equal(check(graph([a, step('f', 'math.save')], 'a>f', '!a>f')).ends, 1);
  });

  test('a map may have a handler, and maps inside', () => {
    const inner = map('inner', graph([step('x')], '>x'));
    const outer = map('outer', graph([step('l', 'math.split'), inner], '>l', 'l>inner'), {
      input: listValue([one]),
    });
    const checked = check(graph([outer, step('h', 'math.save')], '!outer>h'));
    const [first] = checked.steps;
    assert.equal([checked.ends, first?.map?.steps.map(({ id }) => id)], [1, ['l', 'inner']]);
    assert.equal(first?.map?.entries, [{ to: 'l', argument: 'input' }]);
    assert.is(first?.map?.steps[1]?.map?.steps[0]?.operation?.name, 'math.add');
  });

  test('a map takes the list of the flow or that of a handler', () => {
    const lists = [
      step('l', 'math.split', { input: one }),
      step('h', 'math.rescue'),
      map('m', graph([b], '>b')),
    ];
    const rescue = { ...operations.get('math.save')!, name: 'math.rescue', output: ['list'] };
    const ordered = orderGraph(graph(lists, 'l>m', '!l>h', 'h>m'), 5);
    const checked = checkGraph(ordered, new Map([...operations, ['math.rescue', rescue]]));
    assert.is(checked.ends, 1);
  });

  test('10,000 steps in a row are checked', () => {
    assert.is(check(chain(10_000, 0n)).steps.length, 10_000);
  });

  test('10,000 steps in a cycle are refused with a few names', () => {
    const { steps, edges } = chain(10_000, 0n);
    const ring = { from: 's9999', to: 's0', argument: 'by', onFailure: false };
    const [found] = violations({ name: '', steps, edges: [...edges, ring] });
    assert.match(found ?? '', /cycle: (s\d+, ){5}|cycle: (s\d+, ){4}s\d+ and 9995 more/);
  });

  test('a thousand steps with handlers, and a thousand of one handler, are checked soon', () => {
    const { steps, edges } = chain(1000, 0n);
    const handler = step('h', 'math.save');
    const failures = steps.map(({ id }) => ({ from: id, to: 'h', argument: '', onFailure: true }));
    const startedAt = performance.now();
    const checked = check({ name: '', steps: [...steps, handler], edges: [...edges, ...failures] });
    assert.is(checked.ends, 1);
    assert.ok(performance.now() - startedAt < 1000);
  });

  test('more steps than max_steps are refused, those inside maps counted', () => {
    const error = throws(() => orderGraph(chain(4, 0n), 3), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
    });
    assert.match(error.message, /max_steps is 4, the limit max_steps is 3/);
    const inside = graph([map('m', graph([b, c], '>b', 'b>c'), { input: listValue([]) })]);
    throws(() => orderGraph(inside, 2), FractoryError, { code: status.RESOURCE_EXHAUSTED });
    assert.is(orderGraph(inside, 3).steps.length, 1);
  });

  test('maps too deep in maps are refused', () => {
    let inner = graph([b], '>b');
    for (let depth = 0; depth < 9; depth++)
      inner = graph([map(`m${String(depth)}`, inner)], `>m${String(depth)}`);
    throws(() => orderGraph(inner, 100), FractoryError, { code: status.RESOURCE_EXHAUSTED });
  });
});
