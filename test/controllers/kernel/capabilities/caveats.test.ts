import fc from 'fast-check';

import { allowanceOf } from '../../../../controllers/kernel/capabilities/caveats.js';
import type { Allowance, Grant } from '../../../../controllers/kernel/capabilities/caveats.js';
import { mergeArguments } from '../../../../controllers/kernel/argument-check.js';
import {
  encodeCaveat,
  markedRights,
  MARKS,
  narrow,
} from '../../../../controllers/kernel/capabilities/token.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { Caveat } from '../../../../protos/gen/fractory/v1/caveat.js';
import { integerValue, textValue } from '../../../../protos/values.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, suite, throws } from '../../../suite.js';
import { CapabilityTable, reasonOf, SEED } from './capability-table.js';

const PROPERTY = { seed: SEED, numRuns: 300 };
const SIZE_BYTES = 8;
const NAMES = ['a', 'b', 'c'];
const VALUES = ['1', '2'];
const RIGHTS = [1, 2, 4, 8];
/** Times after the beginning, ms. */
const TIMES = [0, 10, 20];
const DURATIONS = [1, 5, 10];
const STEPS = ['r/s', 'r/t', 'q/s'];
const PATHS = ['', '0', '1', '0,0', '0,1'];

/** What a capability allows, dimension by dimension; empty = nothing at all. */
interface Allowed {
  readonly bytes: readonly number[];
  readonly rights: readonly number[];
  readonly args: readonly string[];
  readonly times: readonly number[];
  readonly durations: readonly number[];
  readonly steps: readonly string[];
  readonly paths: readonly string[];
}

const EVERYTHING: Allowed = {
  bytes: Array.from({ length: SIZE_BYTES }, (_, byte) => byte),
  rights: [2, 4],
  args: NAMES.flatMap((name) => VALUES.map((value) => `${name}=${value}`)),
  times: TIMES,
  durations: DURATIONS,
  steps: STEPS,
  paths: PATHS,
};

/** A naive reading of one caveat: each set field throws out what it forbids. */
function model(
  before: Allowed | undefined,
  caveat: Partial<Caveat>,
  nowMs: number,
): Allowed | undefined {
  if (!before) return undefined;
  let { bytes, rights, args, times, durations, steps, paths } = before;
  const { range, step, item, gate, timeoutMs = 0, expiresAtMs = 0n } = caveat;
  if (range) {
    if (Number(range.offset) + Number(range.length) > bytes.length) return undefined;
    bytes = bytes.slice(Number(range.offset), Number(range.offset) + Number(range.length));
  }
  if (caveat.rights !== undefined) rights = rights.filter((right) => right & caveat.rights!);
  for (const { name, value } of caveat.arguments ?? []) {
    const fixed = value?.kind?.value as string;
    args = args.filter((arg) => !arg.startsWith(`${name}=`) || arg === `${name}=${fixed}`);
  }
  if (gate) args = args.filter((arg) => gate.inputs.includes(arg.split('=')[0]!));
  if (expiresAtMs > 0n) times = times.filter((time) => nowMs + time < Number(expiresAtMs));
  if (timeoutMs > 0) durations = durations.filter((duration) => duration <= timeoutMs);
  if (step) steps = steps.filter((known) => known === `${step.run}/${step.step}`);
  if (item !== undefined) {
    const depth = depthOf(before);
    paths = paths.filter((path) => path.split(',')[depth] === String(item));
  }
  return { bytes, rights, args, times, durations, steps, paths };
}

/** How many items all paths that are left have in common. */
function depthOf({ paths }: Allowed): number {
  const wellFormed = [...paths].map((path) => (path === '' ? 0 : path.split(',').length));
  return wellFormed.length === PATHS.length ? 0 : wellFormed.length === 1 ? 2 : 1;
}

function allowedBy(allowance: Allowance, nowMs: number): Allowed {
  const { range, bound, gate, items, step } = allowance;
  const { offset, length } = range ?? { offset: 0, length: SIZE_BYTES };
  return {
    bytes: EVERYTHING.bytes.slice(offset, offset + length),
    rights: RIGHTS.filter((right) => right & allowance.rights),
    args: EVERYTHING.args.filter((arg) => {
      const [name, value] = arg.split('=');
      const fixed = bound.get(name!);
      return (!fixed || fixed.kind?.value === value) && (!gate || gate.includes(name!));
    }),
    times: TIMES.filter((time) => nowMs + time < (allowance.expiresAtMs ?? Infinity)),
    durations: DURATIONS.filter((duration) => duration <= (allowance.timeoutMs ?? Infinity)),
    steps: STEPS.filter((known) => !step || known === `${step.run}/${step.step}`),
    paths: PATHS.filter((path) =>
      items.every((item, depth) => path.split(',')[depth] === String(item)),
    ),
  };
}

const isSubset = (inner: Allowed, outer: Allowed): boolean =>
  Object.entries(inner).every(([dimension, left]) =>
    (left as unknown[]).every((one) =>
      (outer[dimension as keyof Allowed] as unknown[]).includes(one),
    ),
  );

const NOW_MS = 1_700_000_000_000;

/** One caveat of any kind, or several fields in one; items are left to a test of their own. */
const caveats: fc.Arbitrary<Partial<Caveat>> = fc.record(
  {
    expiresAtMs: fc.constantFrom(NOW_MS + 5, NOW_MS + 15, NOW_MS + 1000).map(BigInt),
    arguments: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom(...NAMES),
        value: fc.constantFrom(...VALUES).map((value) => integerValue(value)),
      }),
      { maxLength: 2, selector: ({ name }) => name },
    ),
    rights: fc.oneof(
      fc.nat(15),
      fc.nat(15).map((rights) => markedRights(rights, MARKS - 1)),
    ),
    range: fc.record({ offset: fc.bigInt(0n, 5n), length: fc.bigInt(0n, 8n) }),
    step: fc.constantFrom(...STEPS).map((text) => {
      const [run = '', step = ''] = text.split('/');
      return { run, step };
    }),
    timeoutMs: fc.constantFrom(0, 1, 7),
    gate: fc.subarray(NAMES, { minLength: 1 }).map((inputs) => ({ inputs })),
  },
  { requiredKeys: [] },
);

/** A caveat that is added offline, or by the owner. */
const moves = fc.record({ caveat: caveats, derives: fc.boolean() });

suite(`caveats (seed ${String(SEED)})`, (test) => {
  test('no sequence of narrowings and derivations widens, and each narrows by what it says', () => {
    fc.assert(
      fc.property(fc.array(moves, { maxLength: 8 }), (sequence) => {
        const table = new CapabilityTable();
        const nowMs = table.clock.now();
        let { capability } = table.addMemory(SIZE_BYTES);
        let [before, expected]: (Allowed | undefined)[] = [EVERYTHING, EVERYTHING];
        for (const { caveat, derives } of sequence) {
          const after = derives ? derived(table, capability, caveat) : narrow(capability, caveat);
          expected = model(expected, caveat, nowMs);
          if (!after) break;
          capability = after;
          const found = allowed(table, capability, nowMs);
          assert.ok(!found || (before && isSubset(found, before)), 'it allows more than before');
          // Two different values, steps or gates leave nothing; the naive reading finds that too, or nothing that is left.
          if (found) assert.equal(found, expected);
          before = found;
        }
      }),
      PROPERTY,
    );
  });

  test('items are a path: each caveat goes one map further in', () => {
    const items = (...path: number[]): readonly number[] =>
      allowanceOf(path.map((item) => encodeCaveat({ item }))).items;
    assert.equal([items(), items(0), items(3, 0)], [[], [0], [3, 0]]);
    const inside = allowedBy(allowanceOf([encodeCaveat({ item: 0 })]), NOW_MS);
    assert.equal(inside.paths, ['0', '0,0', '0,1']);
    const deeper = allowanceOf([encodeCaveat({ item: 0 }), encodeCaveat({ item: 1 })]);
    assert.equal(allowedBy(deeper, NOW_MS).paths, ['0,1']);
  });

  test('a caveat that this version does not know denies, whatever else it says', () => {
    const known = encodeCaveat({ expiresAtMs: 9n, rights: 2 });
    const unknown: readonly Uint8Array[] = [
      Buffer.concat([known, Buffer.from([0x78, 1])]), // field 15
      Buffer.concat([known, Buffer.from([0xfa, 0x07, 1, 0])]), // field 127, of bytes
      Buffer.from([0xff]), // no message at all
      Buffer.from([0x08, 0x80, 0x00]), // zero, written in two bytes
      Buffer.from([0x08, 0x00]), // a field that is set to its default
      Buffer.concat([encodeCaveat({ timeoutMs: 5 }), encodeCaveat({ expiresAtMs: 9n })]), // other order
      Buffer.concat([encodeCaveat({ expiresAtMs: 1n }), encodeCaveat({ expiresAtMs: 9n })]), // twice
    ];
    for (const encoded of unknown)
      for (const caveatList of [[encoded], [known, encoded], [encoded, known]])
        assert.is(
          reasonOf(() => allowanceOf(caveatList)),
          'CAPABILITY_DENIED',
        );
    assert.is(allowanceOf([known]).rights, 2);
  });

  test('every random piece of bytes is read as what it says, or denies', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (encoded) => {
        const reason = reasonOf(() => allowanceOf([encoded], { sizeBytes: 8 }));
        assert.ok(reason === undefined || reason === 'CAPABILITY_DENIED', reason);
        if (reason === undefined)
          assert.equal(Buffer.from(encodeCaveat(Caveat.decode(encoded))), Buffer.from(encoded));
      }),
      PROPERTY,
    );
  });

  test('a caveat without fields restricts nothing', () => {
    assert.equal(allowanceOf([new Uint8Array(0)]), allowanceOf([]));
  });

  const denials: readonly (readonly [string, readonly Partial<Caveat>[], Grant])[] = [
    ['two steps', [{ step: { run: 'r', step: 's' } }, { step: { run: 'r', step: 't' } }], {}],
    ['an argument twice', [fix('name', 'a'), fix('name', 'a')], {}],
    ['an argument fixed to nothing', [{ arguments: [{ name: 'x', value: undefined }] }], {}],
    ['two gates', [{ gate: { inputs: ['a'] } }, { gate: { inputs: ['a', 'b'] } }], {}],
    ['two gates of the same size', [{ gate: { inputs: ['a'] } }, { gate: { inputs: ['b'] } }], {}],
    ['a range without bytes', [{ range: { offset: 0n, length: 0n } }], {}],
    ['a range past the end', [{ range: { offset: 4n, length: 5n } }], { sizeBytes: 8 }],
    [
      'a range past an earlier one',
      [{ range: { offset: 2n, length: 4n } }, { range: { offset: 2n, length: 3n } }],
      { sizeBytes: 8 },
    ],
    [
      'a range that overflows',
      [{ range: { offset: 2n ** 64n - 1n, length: 2n } }],
      { sizeBytes: 8 },
    ],
  ];
  for (const [what, sequence, grant] of denials)
    test(`${what} denies`, () => {
      const encoded = sequence.map(encodeCaveat);
      throws(() => allowanceOf(encoded, grant), FractoryError, { reason: 'CAPABILITY_DENIED' });
    });

  test('a range begins where the range before began', () => {
    const encoded = [
      { range: { offset: 2n, length: 5n } },
      { range: { offset: 1n, length: 4n } },
      { range: { offset: 4n, length: 0n } },
    ].map(encodeCaveat);
    const ranges = [1, 2, 3].map(
      (count) => allowanceOf(encoded.slice(0, count), { sizeBytes: 8 }).range,
    );
    assert.equal(ranges, [
      { offset: 2, length: 5 },
      { offset: 3, length: 4 },
      { offset: 7, length: 0 },
    ]);
  });

  test('of expiries and timeouts the smallest counts, in any order', () => {
    for (const order of [
      [5n, 9n],
      [9n, 5n, 0n],
    ]) {
      const encoded = order.map((ms) => encodeCaveat({ expiresAtMs: ms, timeoutMs: Number(ms) }));
      const { expiresAtMs, timeoutMs } = allowanceOf(encoded);
      assert.equal([expiresAtMs, timeoutMs], [5, 5]);
    }
  });

  test('the same gate and the same step may be said twice', () => {
    const gate = { inputs: ['a', 'b'] };
    const step = { run: 'r', step: 's' };
    const same = allowanceOf([
      encodeCaveat({ gate, step }),
      encodeCaveat({ gate: { inputs: ['b', 'a'] }, step }),
    ]);
    assert.equal([same.gate, same.step], [['a', 'b'], step]);
  });

  test('an invocation cannot name a fixed argument again', () => {
    const bound = new Map([['name', textValue('out.txt')]]);
    const again = [{ name: 'name', value: textValue('passwd') }];
    throws(() => mergeArguments(bound, again), FractoryError, { reason: 'CAPABILITY_DENIED' });
  });
});

function fix(name: string, text: string): Partial<Caveat> {
  return { arguments: [{ name, value: textValue(text) }] };
}

function derived(
  { objects }: CapabilityTable,
  capability: Capability,
  caveat: Partial<Caveat>,
): Capability | undefined {
  let made: Capability | undefined;
  const reason = reasonOf(() => (made = objects.derive(capability, caveat).capability));
  if (reason !== undefined) assert.ok(['CAPABILITY_DENIED', 'CAPABILITY_EXPIRED'].includes(reason));
  return made;
}

/** What the owner lets a capability do; undefined = nothing. */
function allowed(
  { objects }: CapabilityTable,
  capability: Capability,
  nowMs: number,
): Allowed | undefined {
  let found: Allowed | undefined;
  reasonOf(() => {
    found = allowedBy(objects.use(capability, 15).allowance, nowMs);
  });
  return found;
}
