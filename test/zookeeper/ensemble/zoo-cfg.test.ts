import { parseMode } from '../../../zookeeper/ensemble/server-mode.js';
import { zooCfg } from '../../../zookeeper/ensemble/zoo-cfg.js';
import { assert, suite } from '../../suite.js';

const options = { tickMs: 200, dataPath: '/data', host: '127.0.0.1' };
const first = { id: 1, client: 11, quorum: 12, election: 13 };
const second = { id: 2, client: 21, quorum: 22, election: 23 };

suite('zoo.cfg', (test) => {
  test('names every server of a quorum, and none for a server alone', () => {
    const quorum = zooCfg(second, [first, second], options);
    assert.match(quorum, /^clientPort=21$/m);
    assert.match(quorum, /^server\.1=127\.0\.0\.1:12:13$/m);
    assert.match(quorum, /^server\.2=127\.0\.0\.1:22:23$/m);
    assert.not.match(zooCfg(first, [first], options), /server\.\d/);
  });

  test('listens on the loopback address only and opens no admin port', () => {
    const text = zooCfg(first, [first], options);
    assert.match(text, /^clientPortAddress=127\.0\.0\.1$/m);
    assert.match(text, /^admin\.enableServer=false$/m);
    assert.match(text, /^tickTime=200$/m);
  });

  test('a server is what it answers, and none while it does not serve', () => {
    assert.is(parseMode('Zookeeper version: 3.8\nMode: follower\nNode count: 5\n'), 'follower');
    assert.is(parseMode('Mode: leader\n'), 'leader');
    assert.is(parseMode('This ZooKeeper instance is not currently serving requests\n'), 'none');
    assert.is(parseMode(''), 'none');
  });
});
