import { status } from '@grpc/grpc-js';

import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import { integerValue, textValue } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { checkSteps, orderSteps } from '../../../services/application/graph-check.js';
import { assert, suite, throws } from '../../suite.js';
import { chain, graph, name, one, operations, step } from './graphs.js';

/** What is wrong with a graph. */
function violations(bad: Graph): string[] {
  const error = throws(() => checkSteps(orderSteps(bad, 10_000), operations), FractoryError, {
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
    /cycle|several/,
  ],
  [
    'an operation without a type',
    graph([step('a', 'add')]),
    /steps\[0\].operation: "add" is not of the form type.operation/,
  ],
  ['an edge from nowhere', graph([a], 'x>a'), /edges\[0\].from: there is no step x/, /cycle/],
  ['an edge to nowhere', graph([a], 'a>x'), /edges\[0\].to: there is no step x/],
  ['fan-out', graph([a, b, c], 'a>b', 'a>c'), /edges\[1\]: a has two edges out/],
  [
    'a join',
    graph([a, b, c], 'a>c', 'b>c'),
    /edges\[1\]: c has two edges in/,
    /several steps have no edge in \(a, b\)/,
  ],
  [
    'steps that hang together by nothing',
    graph([a, { ...a, id: 'b' }]),
    /several steps have no edge in/,
  ],
  ['a cycle', graph([a, b], 'a>b', 'b>a'), /they form a cycle: no step comes first/],
  ['a step that follows itself', graph([a], 'a>a'), /cycle/],
  ['a cycle beside the sequence', graph([a, b, c], 'b>c', 'c>b'), /they form a cycle: b, c/],
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
    const ordered = orderSteps(graph([c, b, a], 'b>c', 'a>b'), 3);
    assert.equal(
      ordered.map(([{ id }]) => id),
      ['a', 'b', 'c'],
    );
    const sequence = checkSteps(ordered, operations);
    assert.equal(
      sequence.map(({ inputArgument }) => inputArgument),
      [undefined, 'input', 'input'],
    );
  });

  test('an edge may lead to any argument', () => {
    const joined = graph([a, step('b', 'math.join', { left: integerValue(2n) })], 'a>b.right');
    assert.is(checkSteps(orderSteps(joined, 2), operations)[1]?.inputArgument, 'right');
  });

  test('10,000 steps are checked', () => {
    assert.is(checkSteps(orderSteps(chain(10_000, 0n), 10_000), operations).length, 10_000);
  });

  test('more steps than max_steps are refused', () => {
    const error = throws(() => orderSteps(chain(4, 0n), 3), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
    });
    assert.match(error.message, /max_steps is 4, the limit max_steps is 3/);
  });
});
