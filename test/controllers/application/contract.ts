import { RunState } from '../../../protos/gen/fractory/v1/application.js';
import type { RunEnded } from '../../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue, listValue, toPlain } from '../../../protos/values.js';
import { assert } from '../../suite.js';
import { chain, graph, map, one, step } from '../../services/application/graphs.js';

const integers = (...values: number[]): Value =>
  listValue(values.map((value) => integerValue(BigInt(value))));
const integer = (value: number): Value => integerValue(BigInt(value));

/** What a run must come to, whether it runs as a ring or as a star. */
export interface Case {
  readonly name: string;
  readonly graph: Graph;
  /** As plain data; integers are text. */
  readonly result?: unknown;
  /** Reason and step of the failure. */
  readonly failure?: readonly [string, string | RegExp];
  /** Steps that leave receipts, sorted. Default: not looked at. */
  readonly receipts?: readonly string[];
}

/** even fails for odd numbers, `h` takes the failure, and `j` takes what comes. */
const rescued = (input: number): Graph =>
  graph(
    [step('e', 'math.even', { input: integer(input) }), step('h', 'math.rescue'), step('j')],
    ...['e>j', '!e>h', 'h>j'],
  );

const even = step('e', 'math.even');

export const cases: readonly Case[] = [
  {
    ...{ name: 'a chain', graph: chain(4, 1n), result: '5' },
    receipts: ['s0', 's1', 's2', 's3'],
  },
  {
    name: 'a diamond',
    graph: graph(
      [
        step('a', 'math.add', { input: one }),
        step('b', 'math.add', { by: integer(10) }),
        step('c', 'math.add', { by: integer(20) }),
        step('j', 'math.join'),
      ],
      ...['a>b', 'a>c', 'b>j.left', 'c>j.right'],
    ),
    ...{ result: '142', receipts: ['a', 'b', 'c', 'j'] },
  },
  {
    name: 'several starts and ends',
    graph: graph(
      [
        step('a', 'math.add', { input: integer(1) }),
        step('b', 'math.add', { input: integer(2) }),
        step('d'),
        step('c'),
      ],
      ...['b>d', 'a>c', 'b>c.by'],
    ),
    ...{ result: ['4', '5'], receipts: ['a', 'b', 'c', 'd'] },
  },
  {
    name: 'the same result for two arguments',
    graph: graph(
      [step('a', 'math.add', { input: one }), step('j', 'math.join')],
      ...['a>j.left', 'a>j.right'],
    ),
    result: '22',
  },
  {
    name: 'a list of results',
    graph: graph(
      [
        step('a', 'math.add', { input: one }),
        step('b', 'math.add', { input: integer(5) }),
        step('l', 'math.split', { input: integer(3) }),
        step('s', 'math.sum'),
      ],
      ...['a>s.input[2]', 'b>s.input[0]', 'l>s.input[1]'],
    ),
    result: '11',
  },
  {
    name: 'a list of one result',
    graph: graph([step('a', 'math.add', { input: one }), step('s', 'math.sum')], 'a>s.input[0]'),
    result: '2',
  },
  { name: 'a handler that is not needed', graph: rescued(4), result: '5', receipts: ['e', 'j'] },
  { name: 'a handler that rejoins', graph: rescued(3), result: '0', receipts: ['e', 'h', 'j'] },
  {
    name: 'a handler at the end',
    graph: graph(
      [step('e', 'math.even', { input: one }), step('b'), step('h', 'math.rescue')],
      ...['e>b', '!e>h', '!b>h'],
    ),
    ...{ result: '-1', receipts: ['e', 'h'] },
  },
  {
    name: 'a handler of a handler',
    graph: graph(
      [step('e', 'math.even', { input: one }), step('h', 'math.worse'), step('g', 'math.rescue')],
      ...['!e>h', '!h>g'],
    ),
    result: '-2',
  },
  {
    name: 'a failure after a handled one',
    graph: graph(
      [...rescued(2).steps.slice(0, 2), step('x'), step('f', 'math.even'), step('z')],
      ...['e>x', '!e>h', 'h>x', 'x>f', 'f>z'],
    ),
    failure: ['ODD', 'f'],
  },
  {
    name: 'a failure of a handler',
    graph: graph([step('e', 'math.even', { input: one }), step('h', 'math.worse')], '!e>h'),
    failure: ['WORSE', 'h'],
  },
  {
    name: 'two branches that fail',
    graph: graph(
      [
        step('a', 'math.add', { input: integer(2) }),
        step('b', 'math.even'),
        step('c', 'math.even'),
      ],
      ...['a>b', 'a>c'],
    ),
    failure: ['ODD', /^[bc]$/],
  },
  {
    name: 'a map over a given list',
    graph: graph([map('m', graph([step('x')], '>x'), { input: integers(1, 2, 3) })]),
    ...{ result: ['2', '3', '4'], receipts: ['x[0]', 'x[1]', 'x[2]'] },
  },
  {
    name: 'a map over a list from a step, one element at a time, and what follows',
    graph: graph(
      [
        step('l', 'math.split', { input: integer(5) }),
        map('m', graph([step('x'), step('y')], '>x', 'x>y'), {}, 1),
        step('s', 'math.sum'),
      ],
      ...['l>m', 'm>s'],
    ),
    result: '20',
  },
  {
    name: 'a map over nothing',
    graph: graph(
      [
        step('l', 'math.split', { input: integer(0) }),
        map('m', graph([step('x')], '>x')),
        step('s', 'math.sum'),
      ],
      ...['l>m', 'm>s'],
    ),
    result: '0',
  },
  {
    name: 'a map with several ends, and a join inside',
    graph: graph([
      map(
        'm',
        graph(
          [step('x'), step('y'), step('j', 'math.join'), step('k')],
          ...['>x', '>y', 'x>j.left', 'y>j.right', 'y>k'],
        ),
        { input: integers(1, 2) },
      ),
    ]),
    result: [
      ['22', '3'],
      ['33', '4'],
    ],
  },
  {
    name: 'elements that fail and are rescued',
    graph: graph([
      map('m', graph([even, step('h', 'math.rescue')], '>e', '!e>h'), {
        input: integers(0, 1, 2, 3),
      }),
    ]),
    ...{
      result: ['0', '-1', '2', '-1'],
      receipts: ['e[0]', 'e[1]', 'e[2]', 'e[3]', 'h[1]', 'h[3]'],
    },
  },
  {
    name: 'an element that fails',
    graph: graph([map('m', graph([even], '>e'), { input: integers(0, 1, 2) })]),
    failure: ['ODD', 'e[1]'],
  },
  {
    name: 'an element that fails after a handled failure',
    graph: graph([
      map(
        'm',
        graph(
          [even, step('h', 'math.rescue'), step('f', 'math.even')],
          ...['>e', '!e>h', 'e>f', 'h>f'],
        ),
        { input: integers(0, 1) },
      ),
    ]),
    failure: ['ODD', 'f[1]'],
  },
  {
    name: 'an element whose handler fails',
    graph: graph([
      map('m', graph([even, step('h', 'math.worse')], '>e', '!e>h'), { input: integers(0, 1) }),
    ]),
    failure: ['WORSE', 'h[1]'],
  },
  {
    name: 'a map that fails and is rescued',
    graph: graph(
      [
        map('m', graph([even], '>e'), { input: integers(0, 1) }),
        step('s', 'math.sum'),
        step('h', 'math.rescue'),
      ],
      ...['m>s', '!m>h'],
    ),
    result: '-1',
  },
  {
    name: 'maps inside maps',
    graph: graph(
      [
        step('l', 'math.split', { input: integer(4) }),
        map(
          'outer',
          graph(
            [
              step('k', 'math.split'),
              map('inner', graph([step('x')], '>x')),
              step('s', 'math.sum'),
            ],
            ...['>k', 'k>inner', 'inner>s'],
          ),
        ),
      ],
      'l>outer',
    ),
    result: ['0', '1', '3', '6'],
  },
  {
    name: 'a failure deep inside maps',
    graph: graph([
      map(
        'outer',
        graph([step('k', 'math.split'), map('inner', graph([even], '>e'))], ...['>k', 'k>inner']),
        { input: integers(1, 2) },
      ),
    ]),
    failure: ['ODD', 'e[1][1]'],
  },
  {
    name: 'retries that suffice',
    graph: graph([step('f', 'math.flaky', { input: one }, { retries: 2 }), step('x')], 'f>x'),
    result: '2',
  },
  {
    name: 'retries that do not suffice',
    graph: graph([step('f', 'math.flaky', { input: one }, { retries: 1 })]),
    failure: ['BUSY', 'f'],
  },
  {
    name: 'a step that takes too long, and its handler',
    graph: graph(
      [step('w', 'math.hang', { input: one }, { timeoutMs: 30 }), step('h', 'math.rescue')],
      '!w>h',
    ),
    result: '-2',
  },
  {
    name: 'a large value between two steps',
    graph: graph(
      [step('b', 'math.blob', { input: integer(200_000) }), step('n', 'math.length')],
      'b>n',
    ),
    result: '200000',
  },
  {
    name: 'a large value for several steps',
    graph: graph(
      [
        step('b', 'math.blob', { input: integer(200_000) }),
        step('n', 'math.length'),
        step('o', 'math.length'),
        step('j', 'math.join'),
      ],
      ...['b>n', 'b>o', 'n>j.left', 'o>j.right'],
    ),
    result: '2200000',
  },
  {
    name: 'a list of large values',
    graph: graph(
      [
        step('a', 'math.blob', { input: integer(100_000) }),
        step('b', 'math.blob', { input: integer(70_000) }),
        step('n', 'math.length'),
      ],
      ...['a>n.input[0]', 'b>n.input[1]'],
    ),
    result: '170000',
  },
  {
    name: 'a map whose list of results is large, and is used',
    graph: graph(
      [
        map('m', graph([step('b', 'math.blob')], '>b'), {
          input: integers(40_000, 40_000, 90_000),
        }),
        step('n', 'math.length'),
      ],
      'm>n',
    ),
    result: '170000',
  },
  {
    name: 'large lists of an inner map at the beginning of an element',
    graph: graph(
      [
        map('outer', graph([map('inner', graph([step('b', 'math.blob')], '>b'))], '>inner'), {
          input: listValue([integers(40_000, 40_000), integers(50_000, 20_000)]),
        }),
        step('n', 'math.length'),
      ],
      'outer>n',
    ),
    result: '150000',
  },
  {
    name: 'a map after a map, with large lists',
    graph: graph(
      [
        map('m', graph([step('x')], '>x'), { input: integers(39_999, 39_999) }),
        map('k', graph([step('b', 'math.blob')], '>b')),
        step('n', 'math.length'),
      ],
      ...['m>k', 'k>n'],
    ),
    result: '80000',
  },
  {
    name: 'a large result',
    graph: graph([step('b', 'math.blob', { input: integer(200_000) })]),
    result: { mediaType: 'application/octet-stream', bytes: 200_000 },
  },
  {
    name: 'a large list as the result',
    graph: graph([
      map('m', graph([step('b', 'math.blob')], '>b'), { input: integers(50_000, 90_000) }),
    ]),
    result: [
      { mediaType: 'application/octet-stream', bytes: 50_000 },
      { mediaType: 'application/octet-stream', bytes: 90_000 },
    ],
  },
  {
    name: 'a result that is too large',
    graph: graph([step('b', 'math.blob', { input: integer(1_100_000) })]),
    failure: ['LIMIT_EXCEEDED', ''],
  },
];

/** The limits that the cases need. */
export const limits = { max_result_bytes: 1_000_000 };

export function check({ result, failure, receipts }: Case, ended: RunEnded): void {
  if (failure) {
    const [reason, where] = failure;
    assert.equal([ended.state, ended.failure?.reason], [RunState.FAILED, reason]);
    assert.match(
      ended.failure?.step ?? '',
      typeof where === 'string' ? new RegExp(`^${where.replace(/[[\]]/g, '\\$&')}$`) : where,
    );
  } else {
    assert.is(ended.failure?.message, undefined);
    assert.equal(toPlain(ended.result), result);
  }
  assert.is(ended.attempts, 1);
  if (receipts) assert.equal(ended.receipts.map((receipt) => receipt.step).sort(), receipts);
}
