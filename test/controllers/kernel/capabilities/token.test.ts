import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { hmacSha256 } from '../../../../controllers/kernel/capabilities/hmac.js';
import {
  encodeCaveat,
  endsChain,
  isGenuine,
  mint,
  narrow,
  RIGHT_INVOKE,
  RIGHT_READ,
} from '../../../../controllers/kernel/capabilities/token.js';
import { Capability, ObjectKind } from '../../../../protos/gen/fractory/v1/capability.js';
import { integerValue } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';
import { CapabilityTable, reasonOf } from './capability-table.js';

/** Refusals that a token which the owner never made may meet. */
const REFUSALS = ['CAPABILITY_FORGED', 'STALE_OWNER'];

/** A derived capability with two caveats, for which every field matters. */
function sample(table: CapabilityTable): Capability {
  const { capability } = table.objects.derive(table.root, { step: { run: 'r', step: 's' } });
  return narrow(capability, {
    expiresAtMs: 9_000_000_000_000n,
    arguments: [{ name: 'by', value: integerValue(3n) }],
  });
}

suite('capability tokens', (test) => {
  test('any flipped bit of the encoded token is refused', () => {
    const table = new CapabilityTable();
    const capability = sample(table);
    assert.is(table.reason(capability), undefined);
    const encoded = Capability.encode(capability).finish();
    let tried = 0;
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const altered = Uint8Array.from(encoded);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      let decoded: Capability;
      try {
        decoded = Capability.decode(altered);
      } catch {
        continue;
      }
      tried++;
      const reason = table.reason(decoded);
      assert.ok(reason && REFUSALS.includes(reason), `bit ${String(bit)}: ${String(reason)}`);
    }
    assert.ok(tried > encoded.length * 4, `only ${String(tried)} were messages`);
  });

  test('any flipped bit of any field is refused', () => {
    const table = new CapabilityTable();
    const capability = sample(table);
    const altered: Capability[] = [];
    for (let bit = 0n; bit < 64n; bit++)
      for (const field of ['epoch', 'object', 'node'] as const)
        altered.push({ ...capability, [field]: capability[field] ^ (1n << bit) });
    for (let bit = 0; bit < 32; bit++) {
      altered.push({ ...capability, rights: (capability.rights ^ (1 << bit)) >>> 0 });
      altered.push({ ...capability, kind: (capability.kind ^ (1 << bit)) as ObjectKind });
    }
    for (const flipped of flippedBits(capability.tag))
      altered.push({ ...capability, tag: flipped });
    for (const [index, caveat] of capability.caveats.entries())
      for (const flipped of flippedBits(caveat))
        altered.push({ ...capability, caveats: capability.caveats.with(index, flipped) });
    for (const flipped of flippedBits(Buffer.from(capability.owner)))
      altered.push({ ...capability, owner: Buffer.from(flipped).toString('latin1') });
    for (const one of altered) {
      const reason = table.reason(one);
      assert.ok(reason && REFUSALS.includes(reason), String(reason));
    }
  });

  test('caveats can be neither left out, nor doubled, nor put in another order, nor cut, nor extended', () => {
    const table = new CapabilityTable();
    const one = encodeCaveat({ expiresAtMs: 9_000_000_000_000n });
    const narrowed = [{ timeoutMs: 1 }, { timeoutMs: 2 }].reduce(narrow, table.root);
    const [first, second] = narrowed.caveats as [Uint8Array, Uint8Array];
    const lists = [
      [],
      [first],
      [second],
      [second, first],
      [first, second, second],
      [first, first, second],
      [first, second, one],
      [first, second, new Uint8Array(0)],
      [first.subarray(1), second],
      [first, second.subarray(0, 1)],
      [Buffer.concat([first, second])],
      [Buffer.concat([first, one]), second],
    ];
    for (const caveats of lists)
      assert.is(table.reason({ ...narrowed, caveats }), 'CAPABILITY_FORGED');
    assert.is(table.reason(narrowed), undefined);
  });

  test('a tag of another length is refused', () => {
    const table = new CapabilityTable();
    const { tag } = table.root;
    for (const altered of [new Uint8Array(0), tag.subarray(0, 31), Buffer.concat([tag, tag])])
      assert.is(table.reason({ ...table.root, tag: altered }), 'CAPABILITY_FORGED');
  });

  test('the tag of before is no use to who has only the tag of after', () => {
    const secret = randomBytes(32);
    const root = mint(secret, {
      ...{ owner: 'math-1', epoch: 5n, object: 3n, node: 3n },
      ...{ kind: ObjectKind.REQUEST, rights: RIGHT_INVOKE },
    });
    const narrowed = narrow(root, { timeoutMs: 5 });
    const extended = narrow(narrowed, { expiresAtMs: 9n });
    assert.ok([root, narrowed, extended].every((one) => isGenuine(secret, one)));
    // A holder of `narrowed` can't get back: neither its own tag nor anything computed from it ends the shorter chain.
    for (const tag of [narrowed.tag, hmacSha256(narrowed.tag, narrowed.caveats[0]!)])
      assert.not.ok(isGenuine(secret, { ...root, tag }));
  });

  test('a forged token costs the same work whether its object and its node exist or not', () => {
    const table = new CapabilityTable();
    const { capability: memory } = table.addMemory();
    const { capability: derived, revoker } = table.objects.derive(table.root);
    const gone = table.objects.derive(table.root);
    table.objects.revoke(gone.revoker);
    const variants: readonly Partial<Capability>[] = [
      {},
      memory,
      derived,
      revoker,
      gone.capability,
      { object: 999n, node: 999n },
      { object: memory.object },
      { node: memory.node },
      { rights: RIGHT_READ },
      { kind: ObjectKind.MEMORY },
    ];
    for (const caveats of [0, 1, 3]) {
      const costs = variants.map((variant) => {
        let forged: Capability = { ...table.root, ...variant, tag: randomBytes(32) };
        for (let caveat = 0; caveat < caveats; caveat++) forged = narrow(forged, { timeoutMs: 1 });
        const before = table.hmacs;
        assert.is(table.reason(forged), 'CAPABILITY_FORGED');
        return table.hmacs - before;
      });
      assert.equal(new Set(costs), new Set([caveats + 1]), costs.join(' '));
    }
  });

  test('tags are compared in constant time', async () => {
    // A claim about the source: no clock would tell it reliably.
    assert.match(
      endsChain.toString(),
      /given\.length === tag\.length && timingSafeEqual\(given, tag\)/,
    );
    const source = await readFile(new URL(import.meta.resolve(TOKEN)), 'utf8');
    assert.not.match(source, /tag\s*===|\.equals\(|Buffer\.compare/);
  });

  test('10,000 caveats are refused before any of them is looked at', () => {
    const table = new CapabilityTable();
    const { memory, ...revocable } = table.addMemory();
    assert.is(memory.deaths, 0);
    for (const capability of [table.root, revocable.capability, revocable.revoker]) {
      const caveats = Array.from({ length: 10_000 }, () => new Uint8Array(0));
      const before = table.hmacs;
      for (const refused of [
        () => table.objects.use({ ...capability, caveats }, RIGHT_INVOKE),
        () => table.objects.derive({ ...capability, caveats }),
        () => table.objects.revoke({ ...capability, caveats }),
        () => table.objects.watch({ ...capability, caveats }, () => undefined),
      ])
        assert.is(reasonOf(refused), 'LIMIT_EXCEEDED');
      assert.is(table.hmacs, before);
    }
  });

  test('the owner computes one HMAC for each caveat of a capability that it has made', () => {
    const table = new CapabilityTable();
    for (const capability of [table.root, table.objects.derive(table.root).capability])
      for (const count of [0, 1, 3]) {
        let narrowed = capability;
        for (let caveat = 0; caveat < count; caveat++)
          narrowed = narrow(narrowed, { timeoutMs: 5 });
        const before = table.hmacs;
        assert.is(table.reason(narrowed), undefined);
        assert.is(table.hmacs - before, count);
      }
  });
});

const TOKEN = '../../../../controllers/kernel/capabilities/token.js';

function flippedBits(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const altered = Uint8Array.from(bytes);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    return altered;
  });
}
