import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import fc from 'fast-check';

import { allowanceOf } from '../../../controllers/kernel/caveats.js';
import type { Allowance } from '../../../controllers/kernel/caveats.js';
import { mergeArguments } from '../../../controllers/kernel/argument-check.js';
import { ObjectTable } from '../../../controllers/kernel/objects.js';
import { isGenuine, mint, narrow, RIGHT_INVOKE } from '../../../controllers/kernel/token.js';
import { Capability, Caveat, ObjectKind } from '../../../protos/gen/fractory/v1/capability.js';
import { integerValue, textValue } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';
import { increment } from './kernels.js';

const SEED = Number(process.env['FRACTORY_TEST_SEED'] ?? Date.now() % 2 ** 31);
const PROPERTY = { seed: SEED, numRuns: 200 };

const secret = randomBytes(32);
const root = mint(secret, {
  ...{ owner: 'math-1', epoch: 5n, object: 3n, node: 1n },
  ...{ kind: ObjectKind.REQUEST, rights: RIGHT_INVOKE },
});

const caveats = fc.record({
  expiresAtMs: fc.bigInt({ min: 0n, max: 2n ** 50n }),
  arguments: fc.array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      value: fc.bigInt().map((value) => integerValue(value)),
    }),
    { maxLength: 2 },
  ),
  step: fc.option(fc.record({ run: fc.constantFrom('r', 's'), step: fc.constantFrom('t', 'u') }), {
    nil: undefined,
  }),
});

function allowed(capability: Capability): Allowance | undefined {
  try {
    return allowanceOf(capability.caveats);
  } catch (error) {
    if (error instanceof FractoryError && error.reason === 'CAPABILITY_DENIED') return undefined;
    throw error;
  }
}

/** Whether `after` allows nothing that `before` did not. */
function isNarrower(before: Allowance | undefined, after: Allowance | undefined): boolean {
  if (!after) return true;
  if (!before) return false;
  const expiry = (allowance: Allowance): number => allowance.expiresAtMs ?? Infinity;
  return (
    expiry(after) <= expiry(before) &&
    (!before.step || isDeepStrictEqual(after.step, before.step)) &&
    [...before.bound].every(([name, value]) => isDeepStrictEqual(after.bound.get(name), value))
  );
}

/** A table with one operation and its root capability. */
function table(epoch = 5n): { objects: ObjectTable; capability: Capability } {
  const objects = new ObjectTable('math-1', () => [increment]);
  objects.begin(epoch);
  return { objects, capability: objects.roots.get('math.add')! };
}

suite(`capability tokens (seed ${String(SEED)})`, (test) => {
  test('no sequence of narrowings widens', () => {
    fc.assert(
      fc.property(fc.array(caveats, { maxLength: 8 }), (added) => {
        let capability = root;
        let before = allowed(capability);
        for (const caveat of added) {
          capability = narrow(capability, caveat);
          assert.ok(isGenuine(secret, capability));
          const after = allowed(capability);
          assert.ok(isNarrower(before, after));
          before = after;
        }
      }),
      PROPERTY,
    );
  });

  test('a fixed argument keeps its first value', () => {
    fc.assert(
      fc.property(fc.array(caveats, { maxLength: 6 }), (added) => {
        const first = new Map<string, string>();
        for (const { arguments: args } of added)
          for (const { name, value } of args)
            if (!first.has(name)) first.set(name, JSON.stringify(value));
        const left = allowed(added.reduce(narrow, root));
        for (const [name, value] of left?.bound ?? [])
          assert.is(JSON.stringify(value), first.get(name));
      }),
      PROPERTY,
    );
  });

  test('any flipped bit of a token is refused', () => {
    const { objects, capability } = table();
    const narrowed = narrow(
      narrow(capability, { expiresAtMs: 9n, arguments: [], step: { run: 'r', step: 's' } }),
      { expiresAtMs: 0n, step: undefined, arguments: [{ name: 'by', value: integerValue(3n) }] },
    );
    const encoded = Capability.encode(narrowed).finish();
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const altered = Uint8Array.from(encoded);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      let decoded: Capability;
      try {
        decoded = Capability.decode(altered);
      } catch {
        continue;
      }
      const { reason } = throws(() => objects.open(decoded), FractoryError);
      assert.ok(
        ['CAPABILITY_FORGED', 'STALE_OWNER'].includes(reason),
        `bit ${String(bit)}: ${reason}`,
      );
    }
  });

  test('caveats can be neither left out nor put in another order', () => {
    const { objects, capability } = table();
    const one = { expiresAtMs: 1n, arguments: [], step: undefined };
    const narrowed = narrow(narrow(capability, one), { ...one, expiresAtMs: 2n });
    const [first, second] = narrowed.caveats;
    for (const kept of [[], [first!], [second!], [second!, first!], [first!, second!, second!]])
      throws(() => objects.open({ ...narrowed, caveats: kept }), FractoryError, {
        reason: 'CAPABILITY_FORGED',
      });
    assert.is(objects.open(narrowed).kind, 'operation');
  });

  test('a caveat that this version does not know denies', () => {
    const future = Buffer.concat([
      Caveat.encode({ expiresAtMs: 0n, arguments: [], step: undefined }).finish(),
      Buffer.from([0x78, 1]),
    ]);
    for (const encoded of [future, Buffer.from([0xff])])
      throws(() => allowanceOf([encoded]), FractoryError, { reason: 'CAPABILITY_DENIED' });
  });

  test('an argument can be fixed once, and not to nothing', () => {
    const fix = (text: string) => ({
      ...{ expiresAtMs: 0n, step: undefined },
      arguments: [{ name: 'name', value: textValue(text) }],
    });
    const twice = narrow(narrow(root, fix('out.txt')), fix('other.txt'));
    throws(() => allowanceOf(twice.caveats), FractoryError, { reason: 'CAPABILITY_DENIED' });
    const empty = narrow(root, {
      ...{ expiresAtMs: 0n, step: undefined },
      arguments: [{ name: 'name', value: undefined }],
    });
    throws(() => allowanceOf(empty.caveats), FractoryError, { reason: 'CAPABILITY_DENIED' });
  });

  test('an invocation cannot name a fixed argument again', () => {
    const bound = new Map([['name', textValue('out.txt')]]);
    const again = [{ name: 'name', value: textValue('passwd') }];
    throws(() => mergeArguments(bound, again), FractoryError, { reason: 'CAPABILITY_DENIED' });
  });

  test('two different steps leave nobody who may use it', () => {
    const scope = (step: string) => ({
      ...{ expiresAtMs: 0n, arguments: [], step: { run: 'r', step } },
    });
    throws(() => allowanceOf(narrow(narrow(root, scope('a')), scope('b')).caveats), FractoryError, {
      reason: 'CAPABILITY_DENIED',
    });
    assert.equal(allowanceOf(narrow(narrow(root, scope('a')), scope('a')).caveats).step, {
      run: 'r',
      step: 'a',
    });
  });
});

suite('object table', (test) => {
  test('a capability of another epoch or owner is stale, even if it is forged too', () => {
    const { objects, capability } = table();
    for (const change of [{ epoch: 4n }, { epoch: 6n }, { owner: 'math-2' }])
      throws(
        () => objects.open({ ...capability, ...change, tag: new Uint8Array(32) }),
        FractoryError,
        {
          reason: 'STALE_OWNER',
        },
      );
  });

  test('a new life makes all capabilities of the one before stale and forged', () => {
    const { objects, capability } = table();
    objects.begin(6n);
    throws(() => objects.open(capability), FractoryError, { reason: 'STALE_OWNER' });
    throws(() => objects.open({ ...capability, epoch: 6n }), FractoryError, {
      reason: 'CAPABILITY_FORGED',
    });
  });

  test('nothing is genuine while the member is not registered', () => {
    const { objects, capability } = table();
    objects.begin(0n);
    throws(() => objects.open({ ...capability, epoch: 0n }), FractoryError, {
      reason: 'STALE_OWNER',
    });
    assert.is(objects.size, 0);
  });

  test('a forged token learns nothing of which objects exist', () => {
    const { objects, capability } = table();
    for (const object of [1n, 2n, 99n])
      throws(
        () => objects.open({ ...capability, object, tag: new Uint8Array(32) }),
        FractoryError,
        {
          reason: 'CAPABILITY_FORGED',
        },
      );
  });

  test('the first half of a reply pair that is used consumes both', () => {
    const { objects } = table();
    const seen: string[] = [];
    const pair = objects.addReply((outcome) => seen.push(outcome.kind));
    const reply = objects.open(pair.success);
    assert.is(reply.kind, 'reply');
    if (reply.kind === 'reply')
      objects.consume(reply, { kind: 'succeeded', result: integerValue(1n), receipts: [] });
    for (const capability of [pair.success, pair.failure])
      throws(() => objects.open(capability), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    pair.revoke();
    assert.equal(seen, ['succeeded']);
  });

  test('numbers of objects are not used twice', () => {
    const { objects } = table();
    const first = objects.addReply(() => undefined);
    first.revoke();
    const second = objects.addReply(() => undefined);
    assert.ok(second.success.object > first.failure.object);
  });
});
