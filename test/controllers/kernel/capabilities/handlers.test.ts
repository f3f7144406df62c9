import { Metadata } from '@grpc/grpc-js';

import type { CallContext, MethodHandler } from '../../../../controllers/kernel/calls.js';
import { capabilityHandlers } from '../../../../controllers/kernel/capabilities/handlers.js';
import { narrow } from '../../../../controllers/kernel/capabilities/token.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import {
  CapabilityState,
  DeriveRequest,
  DeriveResponse,
  RevokeRequest,
  RevokeResponse,
  WatchRequest,
} from '../../../../protos/gen/fractory/v1/controller.js';
import type { WatchResponse } from '../../../../protos/gen/fractory/v1/controller.js';
import { cancelled, FractoryError } from '../../../../runtime/errors.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { assert, rejects, suite } from '../../../suite.js';
import { CapabilityTable, reasonOf } from './capability-table.js';

function context(signal = new AbortController().signal): CallContext {
  return { signal, budgetMs: 1000, metadata: new Metadata(), peer: 'test', log: silentLogger() };
}

/** The handlers as a caller sees them: messages are encoded both ways. */
class Caller {
  readonly table: CapabilityTable;
  readonly #handlers: Readonly<Record<'derive' | 'revoke' | 'watch', MethodHandler>>;

  constructor(table: CapabilityTable) {
    this.table = table;
    this.#handlers = capabilityHandlers(table.objects);
  }

  derive(request: Partial<DeriveRequest>): DeriveResponse {
    const { derive } = this.#handlers;
    if (derive.kind !== 'unary') throw new Error('derive is not unary');
    const sent = DeriveRequest.decode(DeriveRequest.encode(request).finish());
    const answer = derive.handle(sent, context()) as DeriveResponse;
    return DeriveResponse.decode(DeriveResponse.encode(answer).finish());
  }

  revoke(capability: Capability | undefined): bigint {
    const { revoke } = this.#handlers;
    if (revoke.kind !== 'unary') throw new Error('revoke is not unary');
    const sent = RevokeRequest.decode(RevokeRequest.encode({ capability }).finish());
    const answer = revoke.handle(sent, context()) as RevokeResponse;
    return RevokeResponse.decode(RevokeResponse.encode(answer).finish()).revoked;
  }

  watch(capability: Capability | undefined, signal?: AbortSignal): AsyncIterator<WatchResponse> {
    const { watch } = this.#handlers;
    if (watch.kind !== 'serverStream') throw new Error('watch is not a server stream');
    assert.ok(watch.endsItself, 'a watch has no limit of its own');
    const sent = WatchRequest.decode(WatchRequest.encode({ capability }).finish());
    const answers = watch.handle(sent, context(signal)) as AsyncIterable<WatchResponse>;
    return answers[Symbol.asyncIterator]();
  }
}

const stateOf = async (
  watch: AsyncIterator<WatchResponse>,
): Promise<CapabilityState | undefined> => {
  const result = await watch.next();
  return result.done ? undefined : result.value.state;
};

suite('capability handlers', (test) => {
  test('Derive makes a narrower capability, Revoke ends it and counts what died', () => {
    using table = new CapabilityTable();
    const caller = new Caller(table);
    const caveat = { expiresAtMs: 0n, arguments: [], timeoutMs: 7 };
    const first = caller.derive({ capability: table.root, caveat });
    const second = caller.derive({ capability: first.capability! });
    assert.is(table.objects.use(second.capability!, 1).allowance.timeoutMs, 7);
    assert.equal([caller.revoke(first.revoker), caller.revoke(first.revoker)], [2n, 0n]);
    assert.is(table.reason(second.capability!), 'CAPABILITY_REVOKED');
  });

  test('a request without a capability is invalid', async () => {
    using table = new CapabilityTable();
    const caller = new Caller(table);
    assert.is(
      reasonOf(() => caller.derive({})),
      'INVALID_ARGUMENT',
    );
    assert.is(
      reasonOf(() => caller.revoke(undefined)),
      'INVALID_ARGUMENT',
    );
    const reading = async () => caller.watch(undefined).next();
    await rejects(reading(), FractoryError, { reason: 'INVALID_ARGUMENT' });
  });

  test('Watch says that a capability is valid, then once why it is no more, and ends', async () => {
    using table = new CapabilityTable();
    const { objects, clock } = table;
    const caller = new Caller(table);
    const { capability, revoker } = objects.derive(table.root);
    const soon = narrow(capability, { expiresAtMs: BigInt(clock.now() + 5) });
    const watches = [capability, soon, table.root].map((one) => caller.watch(one));
    for (const watch of watches) assert.is(await stateOf(watch), CapabilityState.VALID);
    const ends = watches.map(stateOf);
    clock.advance(5);
    objects.revoke(revoker);
    objects.begin(6n);
    assert.equal(await Promise.all(ends), [
      CapabilityState.REVOKED,
      CapabilityState.EXPIRED,
      CapabilityState.OWNER_LOST,
    ]);
    for (const watch of watches) assert.is(await stateOf(watch), undefined);
  });

  test('what happens between two messages of a watch is not missed', async () => {
    using table = new CapabilityTable();
    const { capability, revoker } = table.objects.derive(table.root);
    const watch = new Caller(table).watch(capability);
    assert.is(await stateOf(watch), CapabilityState.VALID);
    table.objects.revoke(revoker);
    assert.is(await stateOf(watch), CapabilityState.REVOKED);
    assert.is(await stateOf(watch), undefined);
  });

  test('a watch of a useless capability fails with the reason and says nothing', async () => {
    using table = new CapabilityTable();
    const caller = new Caller(table);
    const { capability, revoker } = table.objects.derive(table.root);
    caller.revoke(revoker);
    await rejects(caller.watch(capability).next(), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    const stale = { ...table.root, epoch: 4n };
    await rejects(caller.watch(stale).next(), FractoryError, { reason: 'STALE_OWNER' });
  });

  test('a caller that goes leaves nothing behind', async () => {
    using table = new CapabilityTable();
    const caller = new Caller(table);
    const aborts = new AbortController();
    const cut = caller.watch(table.root, aborts.signal);
    const stopped = caller.watch(table.root);
    for (const watch of [cut, stopped]) assert.is(await stateOf(watch), CapabilityState.VALID);
    assert.is(table.objects.watches, 2);
    const waiting = cut.next();
    aborts.abort(cancelled());
    await rejects(waiting, FractoryError, { reason: 'CANCELLED' });
    await stopped.return?.();
    assert.is(table.objects.watches, 0);
    const late = caller.watch(table.root, aborts.signal);
    assert.is(await stateOf(late), CapabilityState.VALID);
    await rejects(late.next(), FractoryError, { reason: 'CANCELLED' });
  });
});
