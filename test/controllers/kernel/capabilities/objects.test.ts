import {
  encodeCaveat,
  narrow,
  RIGHT_INVOKE,
  RIGHT_READ,
  RIGHT_REVOKE,
  RIGHT_WRITE,
} from '../../../../controllers/kernel/capabilities/token.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { assert, suite } from '../../../suite.js';
import { CapabilityTable, FakeMemory, reasonOf } from './capability-table.js';

suite('object table', (test) => {
  test('a capability of another epoch or owner is stale, even if it is forged too', () => {
    using table = new CapabilityTable();
    for (const change of [{ epoch: 4n }, { epoch: 6n }, { owner: 'math-2' }])
      assert.is(table.reason({ ...table.root, ...change, tag: new Uint8Array(32) }), 'STALE_OWNER');
  });

  test('a new life makes all capabilities of the one before stale and forged', () => {
    using table = new CapabilityTable();
    const { root, objects } = table;
    const { capability, revoker } = objects.derive(root);
    const { memory, capability: bytes } = table.addMemory();
    objects.begin(6n);
    for (const one of [root, capability, revoker, bytes]) {
      assert.is(table.reason(one), 'STALE_OWNER');
      assert.is(table.reason({ ...one, epoch: 6n }), 'CAPABILITY_FORGED');
    }
    assert.is(
      reasonOf(() => objects.revoke(revoker)),
      'STALE_OWNER',
    );
    assert.equal([memory.deaths, objects.size, objects.derived], [1, 1, 0]);
    assert.is(table.reason(table.root), undefined);
  });

  test('nothing is genuine while the member is not registered', () => {
    using table = new CapabilityTable();
    const { root, objects } = table;
    objects.begin(0n);
    assert.is(table.reason({ ...root, epoch: 0n }), 'STALE_OWNER');
    assert.is(objects.size, 0);
  });

  test('numbers of objects and nodes are not used twice, in this life or the next', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const seen = new Set<bigint>();
    for (let life = 5n; life < 8n; life++) {
      objects.begin(life);
      const reply = objects.addReply(() => undefined);
      const { capability: memory, revoker } = table.addMemory();
      const derived = objects.derive(memory);
      const nodes = [table.root, reply.success, reply.failure, memory, derived.capability].map(
        ({ node }) => node,
      );
      reply.revoke();
      objects.revoke(revoker);
      for (const node of nodes) {
        assert.not.ok(seen.has(node));
        seen.add(node);
      }
    }
  });

  test('checks come in the order epoch, tag, liveness, caveats', () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const { capability: memory, revoker } = table.addMemory(8);
    const unknown = Buffer.concat([encodeCaveat({}), Buffer.from([0x78, 1])]);
    const wrong = { ...narrow(memory, { range: { offset: 9n, length: 1n } }), caveats: [unknown] };
    assert.is(table.reason({ ...wrong, epoch: 1n }, RIGHT_READ), 'STALE_OWNER');
    assert.is(table.reason(wrong, RIGHT_READ), 'CAPABILITY_FORGED');
    const denied = narrow(memory, { range: { offset: 9n, length: 1n } });
    assert.is(table.reason(denied, RIGHT_READ), 'CAPABILITY_DENIED');
    const late = narrow(memory, { expiresAtMs: BigInt(clock.now()) });
    assert.is(table.reason(late, RIGHT_INVOKE), 'CAPABILITY_EXPIRED');
    objects.revoke(revoker);
    assert.is(table.reason(denied, RIGHT_READ), 'CAPABILITY_REVOKED');
    assert.is(table.reason(late, RIGHT_READ), 'CAPABILITY_REVOKED');
    // Derived nodes are swept after their expiry, so that is what is said of them.
    const expiresAtMs = BigInt(clock.now() + 5);
    const derived = objects.derive(table.root, { expiresAtMs });
    objects.revoke(derived.revoker);
    assert.is(table.reason(derived.capability), 'CAPABILITY_REVOKED');
    clock.advance(5);
    assert.is(table.reason(derived.capability), 'CAPABILITY_EXPIRED');
  });

  test('rights: an operation is invoked, a memory is read and written, a revoker revokes', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const readOnly = objects.addMemory(new FakeMemory(), RIGHT_READ);
    const { capability: memory, revoker } = table.addMemory();
    const withoutWrite = narrow(memory, { rights: RIGHT_READ | RIGHT_INVOKE });
    const rows: readonly (readonly [Capability, readonly number[]])[] = [
      [table.root, [RIGHT_INVOKE]],
      [memory, [RIGHT_READ, RIGHT_WRITE]],
      [readOnly.capability, [RIGHT_READ]],
      [withoutWrite, [RIGHT_READ]],
      [narrow(withoutWrite, { rights: RIGHT_WRITE }), []],
      [revoker, [RIGHT_REVOKE]],
    ];
    for (const [capability, rights] of rows)
      for (const right of [RIGHT_INVOKE, RIGHT_READ, RIGHT_WRITE, RIGHT_REVOKE])
        assert.is(
          table.reason(capability, right),
          rights.includes(right) ? undefined : 'CAPABILITY_DENIED',
        );
    for (const [capability] of rows.slice(0, 5))
      assert.is(
        reasonOf(() => objects.revoke(capability)),
        'CAPABILITY_DENIED',
      );
    for (const one of [revoker, readOnly.revoker]) objects.revoke(one);
  });

  test('a range is told as it lies in the memory, and denies where there are no bytes', () => {
    using table = new CapabilityTable();
    const { capability, revoker } = table.addMemory(100);
    const part = narrow(narrow(capability, { range: { offset: 10n, length: 50n } }), {
      range: { offset: 5n, length: 20n },
    });
    const { objects } = table;
    assert.equal(objects.use(part, RIGHT_READ).allowance.range, { offset: 15, length: 20 });
    assert.is(objects.use(capability, RIGHT_READ).allowance.range, undefined);
    const nowhere = narrow(table.root, { range: { offset: 0n, length: 0n } });
    assert.is(table.reason(nowhere), 'CAPABILITY_DENIED');
    objects.revoke(revoker);
  });

  test('what was checked once is told when it is not so any more', () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const { capability, revoker } = table.addMemory();
    const soon = narrow(capability, { expiresAtMs: BigInt(clock.now() + 10) });
    const uses = [soon, capability].map((one) => objects.use(one, RIGHT_READ));
    const live = (): (string | undefined)[] =>
      uses.map((use) =>
        reasonOf(() => {
          objects.checkLive(use);
        }),
      );
    assert.equal(live(), [undefined, undefined]);
    clock.advance(10);
    assert.equal(live(), ['CAPABILITY_EXPIRED', undefined]);
    objects.revoke(revoker);
    assert.equal(live(), ['CAPABILITY_REVOKED', 'CAPABILITY_REVOKED']);
    objects.begin(6n);
    assert.equal(live(), ['STALE_OWNER', 'STALE_OWNER']);
  });
});
