import { narrow } from '../../../../controllers/kernel/capabilities/token.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, suite, throws } from '../../../suite.js';
import { CapabilityTable, reasonOf } from './capability-table.js';

suite('watches', (test) => {
  test('a watch hears once how its capability ended, and is forgotten', () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const heard: string[] = [];
    const watch = (name: string, capability: Capability): (() => void) =>
      objects.watch(capability, (end) => heard.push(`${name} ${end}`));
    const parent = objects.derive(table.root);
    const child = objects.derive(parent.capability);
    watch('parent', parent.capability);
    watch('child', narrow(child.capability, { timeoutMs: 5 }));
    watch('brief', narrow(child.capability, { expiresAtMs: BigInt(clock.now() + 10) }));
    const cancel = watch('cancelled', child.capability);
    watch('root', table.root);
    assert.is(objects.watches, 5);
    cancel();
    cancel();
    clock.advance(10);
    assert.equal(heard.splice(0), ['brief expired']);
    objects.revoke(parent.revoker);
    assert.equal(heard.splice(0), ['parent revoked', 'child revoked']);
    objects.begin(6n);
    assert.equal([heard, objects.watches], [['root owner lost'], 0]);
  });

  test('whoever hears of a revocation finds the whole subtree dead', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const parent = objects.derive(table.root);
    const child = objects.derive(parent.capability);
    const found: unknown[] = [];
    objects.watch(parent.capability, () => {
      found.push(table.reason(child.capability), objects.revoke(parent.revoker));
    });
    objects.revoke(parent.revoker);
    assert.equal(found, ['CAPABILITY_REVOKED', 0]);
  });

  test('a one-shot reply that is used ends its watch', () => {
    using table = new CapabilityTable();
    const heard: string[] = [];
    const pair = table.objects.addReply(() => undefined);
    table.objects.watch(pair.success, (end) => heard.push(end));
    pair.revoke();
    assert.equal(heard, ['revoked']);
  });

  test('a capability that is useless can not be watched, and the reason is told', () => {
    using table = new CapabilityTable();
    const { objects } = table;
    const { capability, revoker } = objects.derive(table.root);
    const watch = (one: Capability) => reasonOf(() => objects.watch(one, () => undefined));
    assert.is(watch({ ...capability, tag: new Uint8Array(32) }), 'CAPABILITY_FORGED');
    assert.is(watch({ ...capability, epoch: 1n }), 'STALE_OWNER');
    assert.is(watch(narrow(capability, { expiresAtMs: 1n })), 'CAPABILITY_EXPIRED');
    assert.is(
      watch(narrow(capability, { range: { offset: 0n, length: 1n } })),
      'CAPABILITY_DENIED',
    );
    objects.revoke(revoker);
    assert.is(watch(capability), 'CAPABILITY_REVOKED');
  });

  test('past max_watches no more are taken until one goes', () => {
    using table = new CapabilityTable({ max_watches: 1 });
    const { objects } = table;
    const cancel = objects.watch(table.root, () => undefined);
    const error = throws(() => objects.watch(table.root, () => undefined), FractoryError);
    assert.equal([error.reason, error.metadata['limit']], ['LIMIT_EXCEEDED', 'max_watches']);
    cancel();
    objects.watch(table.root, () => undefined)();
  });

  test('a watch of an expiry in centuries waits, one timer at a time', () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const cancel = objects.watch(narrow(table.root, { expiresAtMs: 2n ** 63n }), () => {
      assert.unreachable('it has expired');
    });
    clock.advance(2 ** 32);
    assert.equal([objects.watches, clock.pending], [1, 1]);
    cancel();
  });
});
