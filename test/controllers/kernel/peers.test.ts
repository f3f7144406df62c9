import { status } from '@grpc/grpc-js';

import { Directory } from '../../../controllers/kernel/directory.js';
import { DirectoryPeers } from '../../../controllers/kernel/peers.js';
import { StorageServiceClient } from '../../../protos/gen/fractory/v1/storage.js';
import { ChannelPool } from '../../../runtime/channels.js';
import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import type { Member } from '../../../zookeeper/coordinator.js';
import { assert, rejects, suite } from '../../suite.js';
import { member, MemberList } from './member-list.js';

const one = member('math-1', { address: '127.0.0.1:1', sequence: 1 });
const two = member('math-2', { address: '127.0.0.1:2', sequence: 2 });

function peersOf(...members: readonly Member[]) {
  const list = new MemberList(...members);
  const directory = new Directory(list, new ManualClock());
  const channels = new ChannelPool();
  return {
    list,
    directory,
    peers: new DirectoryPeers(directory, channels),
    [Symbol.asyncDispose]: () => {
      directory.close();
      channels.close();
      return Promise.resolve();
    },
  };
}

/** Calls a storage client at whatever member is chosen; `answer` gets its address. */
function callWith(
  { peers }: ReturnType<typeof peersOf>,
  answer: (address: string) => string,
  signal = new AbortController().signal,
): Promise<string> {
  return peers.call(
    'math',
    StorageServiceClient,
    (client) =>
      new Promise((resolve) => {
        resolve(answer(client.getChannel().getTarget().replace(/^dns:/, '')));
      }),
    signal,
  );
}

suite('peers', (test) => {
  test('one member is asked by its id, once, and told to be lost where it is not there', async () => {
    await using fixture = peersOf(one, two);
    const asked: string[] = [];
    const ask = (id: string): Promise<string> =>
      fixture.peers.call(
        { member: id },
        StorageServiceClient,
        (client) => {
          asked.push(client.getChannel().getTarget().replace(/^dns:/, ''));
          return Promise.reject(unavailable('BUSY', 'not now'));
        },
        new AbortController().signal,
      );
    await rejects(ask('math-2'), FractoryError, { reason: 'BUSY' });
    assert.equal(asked, [two.address]);
    const lost = { code: status.UNAVAILABLE, reason: 'OWNER_LOST' } as const;
    assert.match((await rejects(ask('math-3'), FractoryError, lost)).message, 'math-3');
  });

  test('a member that is unavailable is suspected, and the next one asked', async () => {
    await using fixture = peersOf(one, two);
    const asked: string[] = [];
    const answer = await callWith(fixture, (address) => {
      asked.push(address);
      if (address === one.address) throw unavailable('GONE', 'it is gone');
      return address;
    });
    assert.is(answer, two.address);
    assert.equal(asked, [one.address, two.address]);
    assert.ok(fixture.directory.isSuspected(one));
    assert.not.ok(fixture.directory.isSuspected(two));
  });

  test('a refusal for want of leadership is asked again until somebody leads', async () => {
    await using fixture = peersOf(one);
    let calls = 0;
    const answer = await callWith(fixture, () => {
      if (++calls < 3) throw new FractoryError(status.FAILED_PRECONDITION, 'NOT_LEADER', 'not yet');
      return 'led';
    });
    assert.equal([answer, calls], ['led', 3]);
  });

  test('another error is told at once', async () => {
    await using fixture = peersOf(one, two);
    let calls = 0;
    const failing = callWith(fixture, () => {
      calls++;
      throw new FractoryError(status.NOT_FOUND, 'FILE_NOT_FOUND', 'no such file');
    });
    await rejects(failing, FractoryError, { reason: 'FILE_NOT_FOUND' });
    assert.is(calls, 1);
  });

  test('waiting for a member ends with the signal', async () => {
    await using fixture = peersOf();
    const controller = new AbortController();
    const waiting = callWith(fixture, () => '', controller.signal);
    controller.abort(unavailable('ENOUGH', 'enough waited'));
    await rejects(waiting, FractoryError);
  });
});
