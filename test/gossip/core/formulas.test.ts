import {
  pushPullMs,
  retransmits,
  shortestSuspicionMs,
  suspicionBounds,
  suspicionMs,
} from '../../../gossip/core/formulas.js';
import { lan, local, wan } from '../../../gossip/core/profile.js';
import { assert, suite } from '../../suite.js';

suite('formulas of memberlist', (test) => {
  test('a suspect has 16 s at least and 96 s at most among 10,000 members of a LAN', () => {
    assert.equal(suspicionBounds(lan, 10_000), {
      shortestMs: 16_000,
      longestMs: 96_000,
      wanted: 2,
    });
    assert.is(shortestSuspicionMs(lan, 5), 4000);
    assert.is(shortestSuspicionMs(wan, 100), 60_000);
  });

  test('each confirmation shortens a suspicion, the last one wanted to its shortest', () => {
    const bounds = suspicionBounds(lan, 1000);
    const lasts = [0, 1, 2, 3].map((confirmations) => suspicionMs(bounds, confirmations));
    assert.is(lasts[0], bounds.longestMs);
    assert.is(lasts[1], Math.floor(72_000 - (Math.log(2) / Math.log(3)) * 60_000));
    assert.is(lasts[2], bounds.shortestMs);
    assert.is(lasts[3], bounds.shortestMs);
  });

  test('where nobody can confirm, a suspicion is as short as can be', () => {
    const bounds = suspicionBounds(lan, 3);
    assert.is(bounds.wanted, 0);
    assert.is(suspicionMs(bounds, 0), 4000);
    assert.is(suspicionBounds(local, 3).wanted, 1);
  });

  test('a rumour is passed on 20 times among 10,000 members of a LAN', () => {
    assert.equal(
      [1, 9, 10, 99, 100, 10_000].map((n) => retransmits(lan, n)),
      [4, 4, 8, 8, 12, 20],
    );
  });

  test('exchanges become rarer above 32 members: every 300 s among 10,000', () => {
    assert.equal(
      [1, 32, 33, 64, 65, 10_000].map((n) => pushPullMs(lan, n) / 1000),
      [30, 30, 60, 60, 90, 300],
    );
  });
});
