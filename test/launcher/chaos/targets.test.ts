import { status } from '@grpc/grpc-js';

import { targetsOf } from '../../../launcher/chaos/targets.js';
import type { Population } from '../../../launcher/chaos/targets.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { someMember } from './some-members.js';

const population: Population = {
  members: [someMember('storage-2', 3n), someMember('storage-1', 4n), someMember('math-1', 5n)],
  processes: [
    { name: 'zookeeper-1', kind: 'zookeeper' },
    { name: 'storage-1', kind: 'node' },
    { name: 'cnn-1', kind: 'node' },
  ],
  zookeeperLeader: () => Promise.resolve('zookeeper-1'),
};

async function names(...words: string[]): Promise<string[]> {
  return (await targetsOf(words, population)).map(({ name }) => name);
}

suite('whom a command means', (test) => {
  test('members, servers, several with commas or spaces, each once', async () => {
    assert.equal(await names('storage-1,math-1', 'zookeeper-1', 'storage-1'), [
      ...['storage-1', 'math-1', 'zookeeper-1'],
    ]);
  });

  test('the leader of a type, and that of ZooKeeper', async () => {
    const [storage] = await targetsOf(['leader:storage'], population);
    assert.equal([storage?.name, storage?.leader], ['storage-2', true]);
    assert.equal(await names('leader:zookeeper'), ['zookeeper-1']);
  });

  test('where every member serves, nobody is the leader who is missed', async () => {
    const [math] = await targetsOf(['leader:math'], population);
    assert.equal([math?.name, math?.leader], ['math-1', false]);
  });

  test('a node that is not registered now is known by its process', async () => {
    const [cnn] = await targetsOf(['cnn-1'], population);
    assert.equal([cnn?.type, cnn?.member], ['cnn', undefined]);
  });

  test('nobody else, with a hint', async () => {
    const { message } = await rejects(names('storag-1'), FractoryError, {
      ...{ code: status.NOT_FOUND, reason: 'UNKNOWN_MEMBER' },
    });
    assert.match(message, /did you mean storage-1\?/);
    await rejects(names('leader:block'), FractoryError, { reason: 'NO_LEADER' });
  });
});
