import { differsNoticeably, loadOf } from '../../../../controllers/kernel/gossip/load.js';
import { decodeNodeTags, encodeNodeTags } from '../../../../controllers/kernel/gossip/tags.js';
import { assert, suite } from '../../../suite.js';

suite('what a node tells by gossip', (test) => {
  const tags = {
    ...{ dataCenter: 'fractory', id: 'math-1', type: 'math', epoch: 18_446_744_073_709_551_615n },
    ...{ address: '127.0.0.1:5000', load: { percent: 30, work: 8 } },
  };

  test('its tags are read as they were written, an epoch of 64 bits too', () => {
    assert.equal(decodeNodeTags(encodeNodeTags(tags), 'fractory'), tags);
  });

  test('tags of another data center, or of an agent of Serf, are no node of ours', () => {
    assert.is(decodeNodeTags(encodeNodeTags(tags), 'other'), undefined);
    assert.is(decodeNodeTags({ role: 'web' }, 'fractory'), undefined);
    assert.is(decodeNodeTags({ ...encodeNodeTags(tags), epoch: '-1' }, 'fractory'), undefined);
    assert.is(decodeNodeTags({ ...encodeNodeTags(tags), epoch: '1e9' }, 'fractory'), undefined);
  });

  test('load is told coarsely', () => {
    assert.equal(loadOf(0.234, 5), { percent: 20, work: 8 });
    assert.equal(loadOf(1.7, 0), { percent: 100, work: 0 });
    assert.equal(loadOf(-1, 1), { percent: 0, work: 1 });
  });

  test('a change is worth a word when it is more than a step', () => {
    const told = loadOf(0.3, 4);
    assert.not.ok(differsNoticeably(told, loadOf(0.4, 8)));
    assert.not.ok(differsNoticeably(told, loadOf(0.2, 2)));
    assert.ok(differsNoticeably(told, loadOf(0.5, 4)));
    assert.ok(differsNoticeably(told, loadOf(0.3, 16)));
    assert.ok(differsNoticeably(told, loadOf(0.3, 1)));
    assert.not.ok(differsNoticeably(loadOf(0, 0), loadOf(0, 1)));
    assert.ok(differsNoticeably(loadOf(0, 0), loadOf(0, 2)));
  });
});
