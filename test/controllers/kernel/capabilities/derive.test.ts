import fc from 'fast-check';

import {
  narrow,
  RIGHT_INVOKE,
  RIGHT_READ,
  RIGHT_WRITE,
} from '../../../../controllers/kernel/capabilities/token.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, suite, throws } from '../../../suite.js';
import { CapabilityTable, reasonOf, SEED } from './capability-table.js';

suite(`derive and revoke (seed ${String(SEED)})`, (test) => {
  test('a derived capability does what its parent does, and less by its caveat', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const { capability: memory, revoker } = table.addMemory(100);
    const parent = narrow(memory, { range: { offset: 10n, length: 20n }, rights: RIGHT_READ });
    const { capability } = objects.derive(parent, { range: { offset: 5n, length: 5n } });
    const { allowance, object } = objects.use(capability, RIGHT_READ);
    assert.equal(allowance.range, { offset: 15, length: 5 });
    assert.is(object, objects.use(memory, RIGHT_READ).object);
    assert.is(table.reason(capability, RIGHT_WRITE), 'CAPABILITY_DENIED');
    assert.equal(capability.caveats.slice(0, 1), parent.caveats);
    assert.is.not(capability.node, parent.node);
    objects.revoke(revoker);
  });

  test('revoking kills a node and all below it, and leaves parent and siblings alive', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const parent = objects.derive(table.root);
    const [one, other] = [objects.derive(parent.capability), objects.derive(parent.capability)];
    const below = objects.derive(narrow(one.capability, { timeoutMs: 5 }));
    const narrowed = narrow(below.capability, { timeoutMs: 1 });
    assert.is(objects.revoke(one.revoker), 2);
    for (const dead of [one.capability, below.capability, narrowed, one.revoker, below.revoker])
      assert.is(table.reason(dead), 'CAPABILITY_REVOKED');
    for (const live of [table.root, parent.capability, other.capability])
      assert.is(table.reason(live), undefined);
    assert.is(objects.revoke(parent.revoker), 2);
  });

  test('revoking twice is no error and kills nothing more', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const { revoker, capability } = objects.derive(table.root);
    assert.equal(Object.keys(capability).sort(), Object.keys(table.root).sort());
    const again = narrow(revoker, { timeoutMs: 1 });
    assert.equal(
      [objects.revoke(revoker), objects.revoke(revoker), objects.revoke(again)],
      [1, 0, 0],
    );
    assert.is(
      reasonOf(() => objects.derive(capability)),
      'CAPABILITY_REVOKED',
    );
  });

  test('only the revoker revokes, and it can do nothing else', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const { revoker, capability } = objects.derive(table.root);
    assert.is(
      reasonOf(() => objects.revoke(capability)),
      'CAPABILITY_DENIED',
    );
    assert.is(
      reasonOf(() => objects.revoke(table.root)),
      'CAPABILITY_DENIED',
    );
    assert.is(
      reasonOf(() => objects.derive(revoker)),
      'CAPABILITY_DENIED',
    );
    assert.is(table.reason(revoker), 'CAPABILITY_DENIED');
    for (const change of [{ rights: RIGHT_INVOKE }, { node: table.root.node }])
      assert.is(
        reasonOf(() => objects.revoke({ ...revoker, ...change })),
        'CAPABILITY_FORGED',
      );
    const expired = narrow(revoker, { expiresAtMs: 1n });
    assert.is(
      reasonOf(() => objects.revoke(expired)),
      'CAPABILITY_EXPIRED',
    );
    const harmless = narrow(revoker, { rights: RIGHT_INVOKE });
    assert.is(
      reasonOf(() => objects.revoke(harmless)),
      'CAPABILITY_DENIED',
    );
    assert.is(objects.revoke(revoker), 1);
  });

  test('a memory hears once that it is dead: when its root dies, not when a derived capability does', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const [one, other] = [table.addMemory(), table.addMemory()];
    const derived = objects.derive(one.capability);
    objects.revoke(derived.revoker);
    assert.is(one.memory.deaths, 0);
    objects.derive(one.capability);
    assert.is(objects.revoke(one.revoker), 2);
    objects.remove(other.capability.object);
    objects.remove(other.capability.object);
    objects.revoke(one.revoker);
    assert.equal([one.memory.deaths, other.memory.deaths, objects.size], [1, 1, 1]);
  });

  test('what a memory does when it hears that it is dead finds it dead', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const seen: unknown[] = [];
    const { capability, revoker } = objects.addMemory(
      {
        sizeBytes: 1,
        onDead: () => {
          seen.push(table.reason(capability, RIGHT_READ), objects.revoke(revoker));
          objects.remove(capability.object);
        },
      },
      RIGHT_READ,
    );
    objects.revoke(revoker);
    assert.equal(seen, ['CAPABILITY_REVOKED', 0]);
  });

  test('a caveat that would leave nothing is refused when it is made', () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const { capability, revoker } = table.addMemory(8);
    const far = { range: { offset: 8n, length: 1n } };
    assert.is(
      reasonOf(() => objects.derive(capability, far)),
      'CAPABILITY_DENIED',
    );
    const late = { expiresAtMs: BigInt(clock.now()) };
    assert.is(
      reasonOf(() => objects.derive(capability, late)),
      'CAPABILITY_EXPIRED',
    );
    assert.is(objects.derived, 0);
    objects.revoke(revoker);
  });

  test('derived nodes are swept after their expiry, and what is below them', () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const expiresAtMs = BigInt(clock.now() + 5000);
    const parent = objects.derive(table.root, { expiresAtMs });
    const child = objects.derive(parent.capability);
    const kept = objects.derive(table.root);
    const early = objects.derive(table.root, { expiresAtMs });
    assert.is(objects.revoke(early.revoker), 1);
    clock.advance(4999);
    assert.equal([objects.derived, table.reason(child.capability)], [3, undefined]);
    clock.advance(2000);
    assert.is(objects.derived, 1);
    for (const { capability } of [parent, child])
      assert.is(table.reason(capability), 'CAPABILITY_EXPIRED');
    assert.is(objects.revoke(parent.revoker), 0);
    assert.is(table.reason(kept.capability), undefined);
    objects.revoke(kept.revoker);
  });

  test('an expiry in centuries holds no more than one timer', () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const { revoker } = objects.derive(table.root, { expiresAtMs: 2n ** 63n });
    assert.is(clock.pending, 1);
    clock.advance(2 ** 32);
    assert.equal([clock.pending, objects.derived], [1, 1]);
    objects.revoke(revoker);
  });

  test('past max_tree_nodes nothing more is derived until something dies; replies and memories still come', () => {
    using table = new CapabilityTable({ max_tree_nodes: 2 });
    const { objects } = table;
    const [one, other] = [objects.derive(table.root), objects.derive(table.root)];
    const error = throws(() => objects.derive(table.root), FractoryError, {
      reason: 'LIMIT_EXCEEDED',
    });
    assert.is(error.metadata['limit'], 'max_tree_nodes');
    objects.addReply(() => undefined).revoke();
    objects.revoke(table.addMemory().revoker);
    objects.revoke(one.revoker);
    const again = objects.derive(table.root);
    for (const { revoker } of [other, again]) objects.revoke(revoker);
  });

  test('a derived capability has no more caveats than max_caveats', () => {
    using table = new CapabilityTable({ max_caveats: 2 });
    const { objects } = table;
    const full = [{}, {}].reduce(narrow, table.root);
    assert.is(
      reasonOf(() => objects.derive(full, {})),
      'LIMIT_EXCEEDED',
    );
    objects.revoke(objects.derive(full).revoker);
  });

  test('any sequence of derivations and revocations leaves exactly what has no revoked ancestor', () => {
    const moves = fc.array(fc.record({ of: fc.nat(30), revokes: fc.boolean() }), { maxLength: 40 });
    fc.assert(
      fc.property(moves, (sequence) => {
        using table = new CapabilityTable();
        const { objects } = table;
        const made = [{ capability: table.root, revoker: table.root, parent: -1 }];
        const revoked = new Set<number>();
        const isDead = (index: number): boolean =>
          index > 0 && (revoked.has(index) || isDead(made[index]!.parent));
        for (const { of, revokes } of sequence) {
          const parent = of % made.length;
          const { capability, revoker } = made[parent]!;
          if (revokes && parent > 0) {
            const live = made.filter((_, index) => index > 0 && !isDead(index)).length;
            revoked.add(parent);
            const left = made.filter((_, index) => index > 0 && !isDead(index)).length;
            assert.is(objects.revoke(revoker), live - left);
          } else if (isDead(parent))
            assert.is(
              reasonOf(() => objects.derive(capability)),
              'CAPABILITY_REVOKED',
            );
          else made.push({ ...objects.derive(capability), parent });
          for (const [index, one] of made.entries())
            assert.is(
              table.reason(one.capability),
              isDead(index) ? 'CAPABILITY_REVOKED' : undefined,
            );
        }
        for (const { revoker } of made.slice(1)) objects.revoke(revoker);
      }),
      { seed: SEED, numRuns: 150 },
    );
  });
});
