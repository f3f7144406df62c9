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

  test('nobody is sent for a moment to a leader whose link broke, where another stands by', () => {
    const [leader, next] = [1, 2].map((sequence) =>
      member(`storage-${String(sequence)}`, { sequence, routing: 'leader' }),
    ) as [Member, Member];
    const { directory, clock, list } = directoryOf(leader, next);
    directory.broke(leader);
    const lost = { code: status.UNAVAILABLE, reason: 'OWNER_LOST' } as const;
    throws(() => directory.pick('storage'), FractoryError, lost);
    clock.advance(150);
    assert.is(directory.pick('storage').id, leader.id, 'only its link may have broken');
    directory.broke(leader);
    list.set(next);
    assert.is(directory.pick('storage').id, next.id, 'there is news');
    directory.broke(next);
    assert.is(directory.pick('storage').id, next.id, 'there is no other');
  });

  test('no member is UNAVAILABLE and says of which type', () => {
    const error = throws(() => directoryOf(one).directory.pick('cnn'), FractoryError, {
      code: status.UNAVAILABLE,
      reason: 'NO_MEMBER',
    });
    assert.match(error.message, /no cnn node/);
    assert.ok(error.retryAfterMs !== undefined);
  });

  test('tells how long a type has been missing that was there', () => {
    const { directory, list, clock } = directoryOf(one);
    clock.advance(5000);
    list.set();
    clock.advance(2000);
    const { metadata, message } = throws(() => directory.pick('math'), FractoryError, {
      reason: 'NO_MEMBER',
    });
    assert.is(metadata['missing_ms'], '2000');
    assert.match(message, /2 s ago/);
    const { metadata: never } = throws(() => directory.pick('cnn'), FractoryError);
    assert.is(never['missing_ms'], undefined);
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

  test('passes over a member that does worse than the others, and tries it again by and by', () => {
    const { directory, clock } = directoryOf(one, two, three);
    const picked = (): string[] =>
      Array.from({ length: 4 }, () => directory.pick('math').id).sort();
    for (let failed = 0; failed < 5; failed++) directory.suspect(one);
    assert.is(directory.standingOf(one), 'suspected');
    clock.advance(4000);
    assert.is(directory.standingOf(one), 'ejected');
    assert.equal(picked(), ['math-2', 'math-2', 'math-3', 'math-3']);
    clock.advance(1000);
    assert.is(directory.pick('math').id, 'math-1', 'a probe');
    assert.equal(picked(), ['math-2', 'math-2', 'math-3', 'math-3']);
    for (let good = 0; good < 3; good++) {
      directory.observe(one, { kind: 'answered' });
      if (good < 2) assert.is(directory.pick('math').id, 'math-1');
    }
    assert.is(directory.standingOf(one), 'trusted');
  });

  test('a leader is used whatever it does', () => {
    const leader = member('storage-1', { routing: 'leader' });
    const { directory } = directoryOf(
      leader,
      member('storage-2', { routing: 'leader', sequence: 2 }),
    );
    for (let failed = 0; failed < 9; failed++) directory.observe(leader, { kind: 'failed' });
    assert.is(directory.standingOf(leader), 'trusted');
    assert.is(directory.pick('storage').id, 'storage-1');
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

suite('directory, by what gossip says', (test) => {
  const [one, two] = [member('math-1', { sequence: 1 }), member('math-2', { sequence: 2 })];
  const picks = (directory: Directory): string[] =>
    [1, 2, 3, 4].map(() => directory.pick('math').id).sort();
  const both = ['math-1', 'math-1', 'math-2', 'math-2'];

  test('who is declared dead is passed over at once, until that is taken back', () => {
    const { directory } = directoryOf(one, two);
    directory.judge(two, 'dead');
    assert.equal(new Set(picks(directory)), new Set(['math-1']));
    assert.is(directory.standingOf(two), 'dead');
    directory.judge(two, 'alive');
    assert.equal(picks(directory), both);
    assert.is(directory.standingOf(two), 'trusted');
  });

  test('what failed while it was held for dead is not held against it when it is back', () => {
    const { directory } = directoryOf(one, two);
    directory.judge(two, 'dead');
    for (let failures = 0; failures < 6; failures++) directory.suspect(two);
    directory.judge(two, 'alive');
    assert.is(directory.standingOf(two), 'trusted');
    assert.equal(picks(directory), both);
  });

  test('a later epoch is another life: nothing was said of it', () => {
    const { list, directory } = directoryOf(one, two);
    directory.judge(two, 'dead');
    list.set(one, { ...two, epoch: 2n });
    assert.equal(picks(directory), both);
    assert.is(directory.standingOf({ ...two, epoch: 2n }), 'trusted');
  });

  test('what gossip said before the coordinator listed a member counts as well', () => {
    const { list, directory } = directoryOf(one);
    directory.judge(two, 'dead');
    list.set(one, two);
    assert.equal(new Set(picks(directory)), new Set(['math-1']));
  });

  test('where all of a type are declared dead they are used all the same', () => {
    const { directory } = directoryOf(one, two);
    directory.judge(one, 'dead');
    directory.judge(two, 'left');
    assert.equal(picks(directory), both);
  });

  test('who leads, gossip does not decide: after a moment the leader is asked again', () => {
    const [leader, next] = [
      member('storage-1', { sequence: 1, routing: 'leader' }),
      member('storage-2', { sequence: 2, routing: 'leader' }),
    ];
    const { directory, clock } = directoryOf(leader, next);
    directory.judge(leader, 'dead');
    throws(() => directory.pick('storage'), FractoryError, { reason: 'OWNER_LOST' });
    clock.advance(150);
    assert.is(directory.pick('storage').id, 'storage-1');
  });

  test('who is passed over for it is told once, and when its life is over', () => {
    const told: string[] = [];
    const list = new MemberList(one, two);
    const directory = new Directory(list, new ManualClock(), ({ id }, standing, cause) => {
      told.push(`${id} ${standing}: ${cause}`);
    });
    directory.judge(two, 'dead');
    directory.judge(two, 'dead');
    assert.equal(told.splice(0), ['math-2 dead: dead by gossip']);
    list.set(one, { ...two, epoch: 2n });
    assert.equal(told.splice(0), ['math-2 trusted: its life is over']);
    directory.judge({ id: 'math-9', epoch: 1n }, 'dead');
    assert.equal(told, [], 'nobody knows it');
  });
});
