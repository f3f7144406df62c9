import fc from 'fast-check';

import { assert, suite } from '../suite.js';
import { checkLinearizable } from './checker.js';
import type { Call } from './checker.js';
import { versionedFile } from './versioned-file.js';
import type { FileInput, FileOutput, FileState } from './versioned-file.js';

type FileCall = Call<FileInput, FileOutput>;

const put = (content: string, ifVersion?: bigint): FileInput => ({
  ...{ act: 'put', content, ifVersion },
});
const get: FileInput = { act: 'get' };
const remove: FileInput = { act: 'delete' };
const file = (content: string, version: bigint): FileOutput => ({
  ...{ kind: 'file', content, version },
});
const missing: FileOutput = { kind: 'missing' };
const mismatch = (version: bigint): FileOutput => ({ kind: 'mismatch', version });

function call(
  calledAt: number,
  answeredAt: number,
  input: FileInput,
  output?: FileOutput,
): FileCall {
  return { calledAt, answeredAt, input, output };
}

const TABLE: readonly (readonly [string, boolean, readonly FileCall[]])[] = [
  ['nothing', true, []],
  [
    'one after the other',
    true,
    [call(0, 1, put('a'), file('a', 1n)), call(2, 3, get, file('a', 1n))],
  ],
  [
    'two at a time, read as written last, whichever it was',
    true,
    [
      call(0, 9, put('a'), file('a', 2n)),
      call(0, 9, put('b'), file('b', 1n)),
      call(10, 11, get, file('a', 2n)),
    ],
  ],
  [
    'a stale read',
    false,
    [
      call(0, 1, put('a'), file('a', 1n)),
      call(2, 3, put('b'), file('b', 2n)),
      call(4, 5, get, file('a', 1n)),
    ],
  ],
  [
    'a read that went back behind another',
    false,
    [
      call(0, 1, put('a'), file('a', 1n)),
      call(2, 20, put('b'), file('b', 2n)),
      call(3, 4, get, file('b', 2n)),
      call(5, 6, get, file('a', 1n)),
    ],
  ],
  [
    'a lost update: two conditional writes on one version',
    false,
    [
      call(0, 1, put('a'), file('a', 1n)),
      call(2, 9, put('b', 1n), file('b', 2n)),
      call(2, 9, put('c', 1n), file('c', 3n)),
    ],
  ],
  ['a lost write', false, [call(0, 1, put('a'), file('a', 1n)), call(2, 3, get, missing)]],
  [
    'a read from the future',
    false,
    [call(0, 1, get, file('a', 1n)), call(2, 3, put('a'), file('a', 1n))],
  ],
  [
    'a version given twice',
    false,
    [
      call(0, 1, put('a'), file('a', 1n)),
      call(2, 3, remove, { kind: 'deleted' }),
      call(4, 5, put('b'), file('b', 1n)),
    ],
  ],
  [
    'a file that was deleted and is there',
    false,
    [
      call(0, 1, put('a'), file('a', 1n)),
      call(2, 3, remove, { kind: 'deleted' }),
      call(4, 5, get, file('a', 1n)),
    ],
  ],
  [
    'a write that was never answered, seen late',
    true,
    [
      call(0, 1, put('a'), file('a', 1n)),
      call(2, 0, put('b')),
      call(3, 4, get, file('a', 1n)),
      call(5, 6, get, file('b', 7n)),
    ],
  ],
  [
    'a write that was never answered, seen and then not seen',
    false,
    [
      call(0, 1, put('a'), file('a', 1n)),
      call(2, 0, put('b')),
      call(3, 4, get, file('b', 2n)),
      call(5, 6, get, file('a', 1n)),
    ],
  ],
  [
    'a write that was never answered, between two that say what they saw',
    true,
    [
      call(0, 0, put('b')),
      call(1, 2, put('c', 9n), mismatch(1n)),
      call(3, 4, put('d', 1n), file('d', 2n)),
      call(5, 6, put('e', 0n), mismatch(2n)),
    ],
  ],
  ['a mismatch with a version that never was', false, [call(1, 2, put('c', 9n), mismatch(1n))]],
  [
    'a mismatch with the very version that was asked for',
    false,
    [call(0, 1, put('a'), file('a', 1n)), call(2, 3, put('b', 1n), mismatch(1n))],
  ],
];

/** All orders that time allows, tried one by one. */
function bruteForce(calls: readonly FileCall[], state: FileState): boolean {
  const answered = calls.filter(({ output }) => output !== undefined);
  if (answered.length === 0) return true;
  const firstAnswer = Math.min(...answered.map(({ answeredAt }) => answeredAt));
  return calls.some((one) => {
    if (one.calledAt > firstAnswer) return false;
    const after = versionedFile.step(state, one.input, one.output);
    return (
      after !== undefined &&
      bruteForce(
        calls.filter((other) => other !== one),
        after,
      )
    );
  });
}

const version = fc.bigInt({ min: 0n, max: 3n });
const content = fc.constantFrom('a', 'b', 'c');
const anyInput: fc.Arbitrary<FileInput> = fc.oneof(
  fc.record({
    act: fc.constant('put' as const),
    content,
    ifVersion: fc.option(version, { nil: undefined }),
  }),
  fc.constant(get),
  fc.record({
    act: fc.constant('delete' as const),
    ifVersion: fc.option(version, { nil: undefined }),
  }),
);
const anyOutput: fc.Arbitrary<FileOutput | undefined> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), version, content }),
  fc.constantFrom<FileOutput | undefined>(missing, { kind: 'deleted' }, undefined),
  version.map(mismatch),
);
const anyCall: fc.Arbitrary<FileCall> = fc
  .tuple(fc.nat(20), fc.nat(10), anyInput, anyOutput)
  .map(([at, length, input, output]) => call(at, at + length, input, output));

/** Calls as a true file would have answered them, each with an effect at one moment between question and answer. */
const trueHistory = fc
  .array(fc.tuple(anyInput, fc.nat(5), fc.nat(5), fc.nat(9)), { maxLength: 40 })
  .map((wishes) => {
    let now = { version: 0n, last: 0n, content: '' };
    return wishes.flatMap(([input, before, after, luck], index) => {
      const wanted = input.act === 'get' ? undefined : input.ifVersion;
      let output: FileOutput;
      // A lost call may have had its effect, or not.
      if (luck === 0) return [call(index - before, 0, input)];
      if (wanted !== undefined && wanted !== now.version && input.act !== 'get')
        output = mismatch(now.version);
      else if (input.act === 'put') {
        const text = `${input.content}${String(index)}`;
        now = { version: now.last + 1n, last: now.last + 1n, content: text };
        output = file(text, now.version);
        const named = { ...input, content: text };
        return [call(index - before, index + after, named, luck === 1 ? undefined : output)];
      } else if (now.version === 0n) output = missing;
      else if (input.act === 'get') output = file(now.content, now.version);
      else {
        now = { ...now, version: 0n };
        output = { kind: 'deleted' };
      }
      return [call(index - before, index + after, input, luck === 1 ? undefined : output)];
    });
  });

suite('linearizability checker', (test) => {
  for (const [what, expected, calls] of TABLE)
    test(`${expected ? 'accepts' : 'rejects'} ${what}`, () => {
      assert.is(checkLinearizable(calls, versionedFile).isLinearizable, expected);
    });

  test('says where it got stuck', () => {
    const stale = call(4, 5, get, file('a', 1n));
    const calls = [call(0, 1, put('a'), file('a', 1n)), call(2, 3, put('b'), file('b', 2n)), stale];
    const verdict = checkLinearizable(calls, versionedFile);
    assert.ok(!verdict.isLinearizable);
    assert.is(verdict.longest.length, 2);
    assert.equal(verdict.stuck, [stale]);
  });

  test('agrees with trying all orders', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(anyCall, { maxLength: 5 }), (calls) => {
        const expected = bruteForce(calls, versionedFile.initial);
        if (expected) accepted++;
        assert.is(checkLinearizable(calls, versionedFile).isLinearizable, expected);
      }),
      { numRuns: 3000 },
    );
    assert.ok(accepted > 100, `${String(accepted)} of them were good`);
  });

  test('accepts whatever a true file answers, however calls overlap and answers are lost', () => {
    fc.assert(
      fc.property(trueHistory, (calls) => {
        assert.ok(checkLinearizable(calls, versionedFile).isLinearizable);
      }),
      { numRuns: 300 },
    );
  });

  test(
    'is done soon with a thousand calls of sixteen clients',
    () => {
      const calls: FileCall[] = [];
      for (let index = 0; index < 1000; index++) {
        const at = index * 10;
        const version = BigInt(index + 1);
        calls.push(
          call(at, at + 160, put(String(index)), file(String(index), version)),
          call(at + 5, at + 90, get, file(String(index), version)),
        );
      }
      assert.ok(checkLinearizable(calls, versionedFile).isLinearizable);
    },
    { timeoutMs: 5000 },
  );
});
