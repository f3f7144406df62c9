import { createHmac } from 'node:crypto';

import { Caveat } from '../../protos/gen/fractory/v1/caveat.js';
import { textValue } from '../../protos/values.js';
import { assert } from '../suite.js';
import type { ForeignClient } from './foreign-client.js';
import { base64 } from './wire.js';
import type { Claims, Wire } from './wire.js';

/** As JSON. */
interface ForeignCapability {
  readonly owner: string;
  readonly epoch: string;
  readonly object: string;
  readonly caveats?: readonly string[];
  readonly tag: string;
  readonly [other: string]: unknown;
}

interface Connected {
  readonly member: string;
  readonly epoch: string;
  readonly grants: readonly {
    readonly operation: { readonly name: string };
    readonly capability: ForeignCapability;
  }[];
}

const timeoutMs = 60_000;
/** What the claims write. */
const FILES = ['factorial.txt', 'failure.txt'];
const NO_CAVEAT: Caveat = { expiresAtMs: 0n, arguments: [], step: undefined, timeoutMs: 0 };

async function capabilityOf(client: ForeignClient, operation: string): Promise<ForeignCapability> {
  const { grants } = await client.call<Connected>('ControllerService/Connect', {});
  const grant = grants.find(({ operation: { name } }) => name === operation);
  if (!grant) throw new Error(`no capability of ${operation}`);
  return grant.capability;
}

/** Adds a caveat as any holder can: the tag of before is the key of the tag of after. */
function narrowed(capability: ForeignCapability, caveat: Partial<Caveat>): ForeignCapability {
  const encoded = Caveat.encode({ ...NO_CAVEAT, ...caveat }).finish();
  const tag = createHmac('sha256', Buffer.from(capability.tag, 'base64')).update(encoded).digest();
  const caveats = [...(capability.caveats ?? []), base64(encoded)];
  return { ...capability, caveats, tag: base64(tag) };
}

function forFile(capability: ForeignCapability, name: string, expiresAtMs = 0n): ForeignCapability {
  const fixed = { client: 'ring', name };
  const args = Object.entries(fixed).map(([key, text]) => ({ name: key, value: textValue(text) }));
  return narrowed(capability, { expiresAtMs, arguments: args });
}

/** Reads a file as soon as it is there. */
async function readSoon(wire: Wire, name: string, signal: AbortSignal): Promise<string> {
  const storage = await wire.at('storage');
  for (;;) {
    const { files = [] } = await storage.call<{ files?: { name: string }[] }>(
      ...(['StorageService/List', { client: 'ring', prefix: name }] as const),
    );
    if (files.some((file) => file.name === name)) break;
    signal.throwIfAborted();
  }
  const parts = await storage.stream<{ chunk?: string }>('StorageService/Get', {
    client: 'ring',
    name,
  });
  return Buffer.from(parts[1]?.chunk ?? '', 'base64').toString();
}

const input = (integer: string): object => ({ name: 'input', value: { integer } });

export const capabilityClaims: Claims = (test, wire) => {
  test(
    'sees what a node is and may be asked',
    async () => {
      const leader = await wire.member('storage');
      const told = await (await wire.at('storage')).call('ControllerService/Describe', {});
      assert.equal(
        [told['member'], told['type'], told['epoch'], told['leader'], told['routing']],
        [leader.id, 'storage', leader.epoch, true, 'leader'],
      );
      assert.equal((told['operations'] as { name: string }[]).map(({ name }) => name).sort(), [
        'storage.delete',
        'storage.list',
        'storage.read',
        'storage.write',
      ]);
      assert.is((told['limits'] as Record<string, string>)['max_steps'], '1024');
    },
    { timeoutMs },
  );

  test(
    'closes a ring from outside: math computes and itself has storage write the result',
    async ({ signal }) => {
      const [math, storage] = [await wire.at('math'), await wire.at('storage')];
      const factorial = await capabilityOf(math, 'math.factorial');
      const shift = await capabilityOf(math, 'math.shift_left');
      const write = forFile(await capabilityOf(storage, 'storage.write'), 'factorial.txt');
      const byThree = narrowed(shift, {
        arguments: [{ name: 'm', value: { kind: { $case: 'integer', value: '3' } } }],
      });
      const admitted = await math.call('ControllerService/Invoke', {
        capability: factorial,
        arguments: [input('10')],
        onSuccess: [{ capability: byThree, onSuccess: [{ capability: write }] }],
      });
      assert.equal(admitted, {});
      assert.is(await readSoon(wire, 'factorial.txt', signal), String(3_628_800 * 8));
    },
    { timeoutMs },
  );

  test(
    'sends a failure the other way',
    async ({ signal }) => {
      const [math, storage] = [await wire.at('math'), await wire.at('storage')];
      const write = await capabilityOf(storage, 'storage.write');
      await math.call('ControllerService/Invoke', {
        capability: await capabilityOf(math, 'math.evaluate'),
        arguments: [{ name: 'expression', value: { text: 'no such thing' } }],
        onSuccess: [{ capability: forFile(write, 'success.txt') }],
        onFailure: [{ capability: forFile(write, 'failure.txt') }],
      });
      const text = await readSoon(wire, 'failure.txt', signal);
      const { reason } = JSON.parse(text) as { readonly reason: string };
      assert.is(reason, 'BAD_EXPRESSION', text);
      const { files } = await storage.call<{ files: { name: string }[] }>('StorageService/List', {
        client: 'ring',
      });
      assert.equal(files.map(({ name }) => name).sort(), FILES);
    },
    { timeoutMs },
  );

  test(
    'can neither forge a capability nor widen or outlive one',
    async () => {
      const storage = await wire.at('storage');
      const root = await capabilityOf(storage, 'storage.write');
      const narrow = forFile(root, 'only-this.txt');
      const tag = Buffer.from(root.tag, 'base64');
      tag[0] = (tag[0] ?? 0) ^ 1;
      const rows: readonly (readonly [ForeignCapability, string, string])[] = [
        [{ ...root, tag: base64(tag) }, 'permission_denied', 'CAPABILITY_FORGED'],
        [{ ...root, tag: '' }, 'permission_denied', 'CAPABILITY_FORGED'],
        [
          { ...root, object: String(BigInt(root.object) + 1n) },
          'permission_denied',
          'CAPABILITY_FORGED',
        ],
        [{ ...root, object: '123456' }, 'permission_denied', 'CAPABILITY_FORGED'],
        [{ ...narrow, caveats: [] }, 'permission_denied', 'CAPABILITY_FORGED'],
        [
          { ...narrow, caveats: forFile(root, 'other.txt').caveats ?? [] },
          'permission_denied',
          'CAPABILITY_FORGED',
        ],
        [{ ...root, epoch: String(BigInt(root.epoch) - 1n) }, 'failed_precondition', 'STALE_OWNER'],
        [{ ...root, owner: 'math-1' }, 'failed_precondition', 'STALE_OWNER'],
        [forFile(root, 'late.txt', 1n), 'permission_denied', 'CAPABILITY_EXPIRED'],
        [forFile(narrow, 'wider.txt'), 'permission_denied', 'CAPABILITY_DENIED'],
      ];
      for (const [capability, code, reason] of rows) {
        const error = await storage.failure('ControllerService/Invoke', {
          ...{ capability, arguments: [input('1')] },
        });
        assert.equal([error.code, error.reason], [code, reason], error.message);
      }
      // A fixed argument can't be given again.
      const again = await storage.failure('ControllerService/Invoke', {
        capability: narrow,
        arguments: [input('1'), { name: 'name', value: { text: 'wider.txt' } }],
      });
      assert.is(again.code, 'permission_denied', again.message);
      const { files } = await storage.call<{ files: { name: string }[] }>('StorageService/List', {
        client: 'ring',
      });
      assert.equal(files.map(({ name }) => name).sort(), FILES);
    },
    { timeoutMs },
  );

  test(
    'derives what can be revoked alone, and is refused once that is done',
    async () => {
      const math = await wire.at('math');
      const root = await capabilityOf(math, 'math.factorial');
      interface Derived {
        readonly capability: ForeignCapability;
        readonly revoker: ForeignCapability;
      }
      const derive = (capability: ForeignCapability): Promise<Derived> =>
        math.call<Derived>('ControllerService/Derive', { capability, caveat: { timeoutMs: 5000 } });
      const invoke = { arguments: [input('3')] };
      const parent = await derive(root);
      const [child, sibling] = [await derive(parent.capability), await derive(root)];
      const held = narrowed(child.capability, { timeoutMs: 100 });
      await math.call('ControllerService/Invoke', { ...invoke, capability: held });
      const notMine = await math.failure('ControllerService/Revoke', {
        capability: parent.capability,
      });
      assert.is(notMine.reason, 'CAPABILITY_DENIED', notMine.message);
      const revoke = { capability: parent.revoker };
      assert.equal(await math.call('ControllerService/Revoke', revoke), { revoked: '2' });
      for (const capability of [held, child.capability, parent.capability]) {
        const error = await math.failure('ControllerService/Invoke', { ...invoke, capability });
        assert.equal([error.code, error.reason], ['permission_denied', 'CAPABILITY_REVOKED']);
      }
      assert.equal(await math.call('ControllerService/Revoke', { capability: child.revoker }), {});
      await math.call('ControllerService/Invoke', { ...invoke, capability: sibling.capability });
    },
    { timeoutMs },
  );

  test(
    'is told of arguments that an operation does not take, and of a missing capability',
    async () => {
      const math = await wire.at('math');
      const capability = await capabilityOf(math, 'math.factorial');
      for (const args of [[], [{ name: 'n', value: { integer: '1' } }, input('1')]]) {
        const error = await math.failure('ControllerService/Invoke', {
          capability,
          arguments: args,
        });
        assert.is(error.code, 'invalid_argument', error.message);
      }
      const none = await math.failure('ControllerService/Invoke', { arguments: [input('1')] });
      assert.is(none.code, 'invalid_argument');
      const follower = await wire.follower();
      const error = await follower.failure('ControllerService/Invoke', {
        capability: await capabilityOf(follower, 'storage.list'),
      });
      assert.is(error.reason, 'NOT_LEADER');
    },
    { timeoutMs },
  );
};
