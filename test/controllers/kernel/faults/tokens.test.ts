import { Metadata } from '@grpc/grpc-js';

import { narrow } from '../../../../controllers/kernel/capabilities/token.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { Capability as CapabilityMessage } from '../../../../protos/gen/fractory/v1/capability.js';
import type {
  AllocateResponse,
  ControllerServiceClient,
  CopyResponse,
  DeriveResponse,
  InvokeResponse,
  ReadResponse,
  RevokeResponse,
  WatchResponse,
  WriteResponse,
} from '../../../../protos/gen/fractory/v1/controller.js';
import { InvokeRequest } from '../../../../protos/gen/fractory/v1/controller.js';
import { toFractoryError } from '../../../../protos/status.js';
import { integerValue } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';
import { ask, Cluster } from './cluster.js';

/** What is wrong with a token, made from a good one of `math-1`, and why it is refused. */
const BAD: readonly {
  readonly name: string;
  readonly make: (good: Capability) => Capability;
  readonly reason: string;
}[] = [
  {
    name: 'forged',
    make: (good) => ({
      ...good,
      tag: good.tag.map((byte, index) => (index === 5 ? byte ^ 1 : byte)),
    }),
    reason: 'CAPABILITY_FORGED',
  },
  {
    name: 'for more rights than it had',
    make: (good) => ({ ...good, rights: 15 }),
    reason: 'CAPABILITY_FORGED',
  },
  {
    name: 'for an object that is not there',
    make: (good) => ({ ...good, object: 1n << 40n, node: 1n << 40n }),
    reason: 'CAPABILITY_FORGED',
  },
  {
    name: 'truncated in its tag',
    make: (good) => ({ ...good, tag: good.tag.subarray(0, 31) }),
    reason: 'CAPABILITY_FORGED',
  },
  {
    name: 'without a tag',
    make: (good) => ({ ...good, tag: new Uint8Array(0) }),
    reason: 'CAPABILITY_FORGED',
  },
  {
    name: 'truncated in its caveats',
    make: (good) => {
      const narrowed = narrow(good, { step: { run: 'r', step: 's' } });
      return { ...narrowed, caveats: [] };
    },
    reason: 'CAPABILITY_FORGED',
  },
  {
    name: 'expired',
    make: (good) => narrow(good, { expiresAtMs: BigInt(Date.now() - 1) }),
    reason: 'CAPABILITY_EXPIRED',
  },
  {
    name: 'for another node',
    make: (good) => ({ ...good, owner: 'math-2' }),
    reason: 'STALE_OWNER',
  },
  {
    name: 'of an earlier life',
    make: (good) => ({ ...good, epoch: good.epoch - 1n }),
    reason: 'STALE_OWNER',
  },
  {
    name: 'narrowed 10,000 times',
    make: (good) => {
      const { caveats } = narrow(good, { timeoutMs: 1 });
      return { ...good, caveats: Array.from({ length: 10_000 }, () => caveats[0]!) };
    },
    reason: 'LIMIT_EXCEEDED',
  },
];

type Use = (client: ControllerServiceClient, capability: Capability) => Promise<unknown>;

const invocation = (capability: Capability | undefined): InvokeRequest =>
  InvokeRequest.fromPartial({
    ...{ capability, arguments: [{ name: 'input', value: integerValue(1n) }], budgetMs: 5000 },
  });

async function drained(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const message of stream) if (message === undefined) throw new Error('no message');
}

/** All ways to show a token to a node. */
const USES: Readonly<Record<string, Use>> = {
  Invoke: (client, capability) =>
    ask<InvokeResponse>((done) => client.invoke(invocation(capability), done)),
  Derive: (client, capability) =>
    ask<DeriveResponse>((done) => client.derive({ capability, caveat: undefined }, done)),
  Revoke: (client, capability) =>
    ask<RevokeResponse>((done) => client.revoke({ capability }, done)),
  Watch: (client, capability) =>
    drained(client.watch({ capability }, new Metadata()) as AsyncIterable<WatchResponse>),
  Read: (client, capability) =>
    drained(
      client.read(
        { capability, offset: 0n, length: 0n, sha256: false },
        new Metadata(),
      ) as AsyncIterable<ReadResponse>,
    ),
  Write: (client, capability) =>
    ask<WriteResponse>((done) => {
      const stream = client.write(done);
      stream.write({ part: { $case: 'header', value: { capability, offset: 0n } } });
      stream.end();
      return stream;
    }),
  'Copy, as the source': async (client, source) => {
    const { capability: destination } = await allocated(client);
    return ask<CopyResponse>((done) => client.copy({ source, destination, sha256: false }, done));
  },
  'Copy, as the destination': async (client, destination) => {
    const { capability: source } = await allocated(client);
    return ask<CopyResponse>((done) => client.copy({ source, destination, sha256: false }, done));
  },
};

function allocated(client: ControllerServiceClient): Promise<AllocateResponse> {
  return ask<AllocateResponse>((done) =>
    client.allocate({ sizeBytes: 100n, leaseMs: 60_000 }, done),
  );
}

const reasonOf = (used: Promise<unknown>): Promise<string> =>
  used.then(
    () => 'admitted',
    (error: unknown) => toFractoryError(error).reason,
  );

suite('a node that is shown a bad token', (test) => {
  test('refuses each kind in each call, with its reason, and keeps nothing', async () => {
    await using cluster = await Cluster.start(2);
    using controller = cluster.controller('math-1');
    const { client } = controller;
    const operation = await cluster.root('math-1', 'math.add');
    const { capability: memory, revoker } = await allocated(client);
    const goods = { Invoke: operation, Derive: operation, Revoke: revoker, Watch: operation };
    const wrong: string[] = [];
    for (const [call, use] of Object.entries(USES))
      for (const { name, make, reason } of BAD) {
        const good = (goods as Record<string, Capability | undefined>)[call] ?? memory!;
        const bad = make(good);
        const found = await reasonOf(use(client, bad));
        if (found !== reason) wrong.push(`${call}, ${name}: ${found} instead of ${reason}`);
      }
    assert.equal(wrong, []);
    // All was refused before anything was done; the good ones are still good.
    assert.is(await reasonOf(USES['Invoke']!(client, operation)), 'admitted');
    assert.is(await reasonOf(USES['Revoke']!(client, revoker!)), 'admitted');
  });

  test('tells the failure continuation why, where the token stood in a continuation', async () => {
    await using cluster = await Cluster.start(2);
    using controller = cluster.controller('math-2');
    const good = await cluster.root('math-1', 'math.add');
    const first = await cluster.root('math-2', 'math.add');
    const note = await cluster.root('math-2', 'math.note');
    for (const { name, make, reason } of BAD) {
      const workshop = cluster.workshops.get('math-2')!;
      workshop.events.length = 0;
      const request = invocation(first);
      const next = CapabilityMessage.fromPartial(make(good));
      request.onSuccess = invocationOf(next);
      request.onFailure = invocationOf(note);
      await ask<InvokeResponse>((done) => controller.client.invoke(request, done));
      await cluster.happened(/^noted/);
      assert.equal(
        workshop.events.filter((event) => event.startsWith('noted')),
        [`noted ${reason}`],
        name,
      );
    }
    await cluster.nothingHeld();
  });

  test('refuses all tokens of before its restart, in calls and in continuations', async () => {
    await using cluster = await Cluster.start(2);
    const old = await cluster.root('math-1', 'math.add');
    await cluster.dies('math-1');
    await cluster.add('math-1');
    using first = cluster.controller('math-1');
    using second = cluster.controller('math-2');
    assert.is(await reasonOf(USES['Invoke']!(first.client, old)), 'STALE_OWNER');
    const fresh = await cluster.root('math-1', 'math.add');
    assert.is(fresh.epoch > old.epoch, true);
    assert.is(await reasonOf(USES['Invoke']!(first.client, fresh)), 'admitted');
    const replayed = { ...old, epoch: fresh.epoch };
    assert.is(await reasonOf(USES['Invoke']!(first.client, replayed)), 'CAPABILITY_FORGED');
    const request = invocation(await cluster.root('math-2', 'math.add'));
    request.onSuccess = invocationOf(old);
    request.onFailure = invocationOf(await cluster.root('math-2', 'math.note'));
    await ask<InvokeResponse>((done) => second.client.invoke(request, done));
    await cluster.happened('noted STALE_OWNER');
    await cluster.nothingHeld();
  });
});

function invocationOf(capability: Capability): InvokeRequest['onSuccess'] {
  return InvokeRequest.fromPartial({ onSuccess: [{ capability }] }).onSuccess;
}
