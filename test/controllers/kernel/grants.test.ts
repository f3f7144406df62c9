import { EventEmitter, once } from 'node:events';

import { Server } from '@grpc/grpc-js';

import { Directory } from '../../../controllers/kernel/directory.js';
import { Grants } from '../../../controllers/kernel/grants.js';
import { ControllerServiceService } from '../../../protos/gen/fractory/v1/controller.js';
import type { ConnectResponse } from '../../../protos/gen/fractory/v1/controller.js';
import { ChannelPool } from '../../../runtime/channels.js';
import { systemClock } from '../../../runtime/clock.js';
import { cancelled, FractoryError } from '../../../runtime/errors.js';
import { serveOnLoopback } from '../../loopback-server.js';
import { assert, rejects, suite } from '../../suite.js';
import { member, MemberList } from './member-list.js';

/** Grants, and a member whose answers to `Connect` the test gives. */
async function connecting() {
  const waiting: ((response: ConnectResponse) => void)[] = [];
  const arrivals = new EventEmitter();
  /** Resolves when so many calls have arrived. */
  const hasArrived = async (count: number): Promise<void> => {
    while (waiting.length < count) await once(arrivals, 'call');
  };
  const server = new Server();
  const connect = (
    _call: unknown,
    done: (error: null, response: ConnectResponse) => void,
  ): void => {
    waiting.push((response) => {
      done(null, response);
    });
    arrivals.emit('call');
  };
  server.addService(ControllerServiceService, { connect });
  const port = await serveOnLoopback(server);
  const math = member('math-1', { address: `127.0.0.1:${String(port)}` });
  const list = new MemberList(math);
  const directory = new Directory(list, systemClock);
  const channels = new ChannelPool();
  const grants = new Grants(directory, channels);
  return {
    ...{ list, math, grants, waiting, hasArrived },
    [Symbol.dispose]: () => {
      grants.close();
      directory.close();
      channels.close();
      server.forceShutdown();
    },
  };
}

const never = new AbortController().signal;

suite('grants', (test) => {
  test('one call serves all who ask, and later ones come from memory', async () => {
    using fixture = await connecting();
    const { grants, math, waiting, hasArrived } = fixture;
    const asked = [grants.of(math, never), grants.of(math, never)];
    await hasArrived(1);
    waiting[0]!({ member: 'math-1', epoch: 1n, grants: [] });
    await Promise.all(asked);
    await grants.of(math, never);
    assert.is(waiting.length, 1);
  });

  test('a caller that gives up does not take it from the others', async () => {
    using fixture = await connecting();
    const { grants, math, waiting, hasArrived } = fixture;
    const givingUp = new AbortController();
    const first = grants.of(math, givingUp.signal);
    const second = grants.of(math, never);
    await hasArrived(1);
    givingUp.abort(cancelled());
    await rejects(first, FractoryError, { reason: 'CANCELLED' });
    waiting[0]!({ member: 'math-1', epoch: 1n, grants: [] });
    assert.is((await second).size, 0);
  });

  test('another member or life at the address is STALE_OWNER, and is asked again', async () => {
    using fixture = await connecting();
    const { grants, math, waiting, hasArrived } = fixture;
    const stale = grants.of(math, never);
    await hasArrived(1);
    waiting[0]!({ member: 'math-1', epoch: 2n, grants: [] });
    await rejects(stale, FractoryError, { reason: 'STALE_OWNER' });
    void grants.of(math, never).catch(() => undefined);
    await hasArrived(2);
    waiting[1]!({ member: 'math-1', epoch: 1n, grants: [] });
  });

  test('a member that has left is forgotten', async () => {
    using fixture = await connecting();
    const { grants, math, waiting, hasArrived, list } = fixture;
    const asked = grants.of(math, never);
    await hasArrived(1);
    waiting[0]!({ member: 'math-1', epoch: 1n, grants: [] });
    await asked;
    list.set();
    list.set(math);
    const again = grants.of(math, never);
    await hasArrived(2);
    waiting[1]!({ member: 'math-1', epoch: 1n, grants: [] });
    await again;
  });
});
