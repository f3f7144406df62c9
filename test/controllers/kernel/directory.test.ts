import { status } from '@grpc/grpc-js';

import { Directory } from '../../../controllers/kernel/directory.js';
import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { Member } from '../../../zookeeper/coordinator.js';
import { assert, suite, throws } from '../../suite.js';
import { member, MemberList } from './member-list.js';

function directoryOf(...members: readonly Member[]) {
  const list = new MemberList(...members);
  const clock = new ManualClock();
  return { list, clock, directory: new Directory(list, clock) };
}

suite('directory', (test) => {
  const [one, two, three] = [
    member('math-1', { sequence: 1 }),
    member('math-2', { sequence: 2 }),
    member('math-3', { sequence: 3 }),
  ];

  test('picks each member of a type with routing `any` in turn', () => {
    const { directory } = directoryOf(one, two, three, member('cnn-1'));
    const picked = Array.from({ length: 6 }, () => directory.pick('math').id);
    assert.equal(picked, ['math-1', 'math-2', 'math-3', 'math-1', 'math-2', 'math-3']);
  });

  test('picks the leader of a type with routing `leader`, suspected or not', () => {
    const followers = [5, 3, 4].map((sequence) =>
      member(`storage-${String(sequence)}`, { sequence, routing: 'leader' }),
    );
    const { directory } = directoryOf(...followers);
    assert.is(directory.pick('storage').id, 'storage-3');
    directory.suspect(directory.pick('storage'));
    assert.is(directory.pick('storage').id, 'storage-3');
    assert.is(directory.leader('storage')?.id, 'storage-3');
  });

  test('no member is UNAVAILABLE and says of which type', () => {
    const error = throws(() => directoryOf(one).directory.pick('cnn'), FractoryError, {
      code: status.UNAVAILABLE,
      reason: 'NO_MEMBER',
    });
    assert.match(error.message, /no cnn node/);
    assert.ok(error.retryAfterMs !== undefined);
  });

  test('a misspelt type is told at once, with what was meant', () => {
    const { directory, list } = directoryOf(member('math-1'));
    const unknown = { code: status.NOT_FOUND, reason: 'UNKNOWN_TYPE' } as const;
    assert.match(
      throws(() => directory.pick('maths'), FractoryError, unknown).message,
      /mean math/,
    );
    list.set();
    throws(() => directory.pick('math'), FractoryError, { reason: 'NO_MEMBER' });
  });

  test('passes over a suspected member for a while, unless there is no other', () => {
    const { directory, clock, list } = directoryOf(one, two);
    directory.suspect(one);
    assert.equal([directory.pick('math').id, directory.pick('math').id], ['math-2', 'math-2']);
    directory.suspect(two);
    assert.is(new Set([directory.pick('math').id, directory.pick('math').id]).size, 2);
    clock.advance(3000);
    assert.not(directory.isSuspected(one));
    directory.suspect(one);
    list.set({ ...one, epoch: 2n }, two);
    assert.not(directory.isSuspected({ ...one, epoch: 2n }));
    assert.not(directory.isSuspected(one), 'the earlier life is forgotten');
  });

  test('knows members by id and epoch', () => {
    const { directory } = directoryOf(one);
    assert.is(directory.find({ id: 'math-1', epoch: 1n }), one);
    assert.is(directory.find({ id: 'math-1', epoch: 2n }), undefined);
  });

  test('waits a moment for the news of a member', async () => {
    const { directory, list, clock } = directoryOf();
    const found = directory.findSoon(one);
    list.set(two);
    list.set(one, two);
    assert.is(await found, one);
    assert.is(clock.pending, 0);
    const never = directory.findSoon(three);
    clock.advance(1000);
    assert.is(await never, undefined);
  });

  test('leaves nothing behind', () => {
    const { directory, list } = directoryOf();
    let heard = 0;
    const stop = directory.subscribe(() => heard++);
    list.set(one);
    stop();
    list.set();
    assert.is(heard, 1);
    directory.close();
    assert.is(list.listeners, 0);
  });
});
