import { Outliers } from '../../../controllers/kernel/outliers.js';
import { ManualClock } from '../../../runtime/clock.js';
import { assert, suite } from '../../suite.js';
import { member } from './member-list.js';

const [one, two, three] = [member('math-1'), member('math-2'), member('math-3')];

function outliersOf(members = [one, two, three]) {
  const clock = new ManualClock(0);
  const changes: string[] = [];
  const outliers = new Outliers({
    clock,
    count: () => members.length,
    onChange: ({ id }, standing, cause) => changes.push(`${id} ${standing}: ${cause}`),
  });
  const done = (who: typeof one, ms: number, times = 1, operation = 'math.add'): void => {
    for (let time = 0; time < times; time++) outliers.observe(who, { kind: 'done', operation, ms });
  };
  const failed = (who: typeof one, times: number): void => {
    for (let time = 0; time < times; time++) outliers.observe(who, { kind: 'failed' });
  };
  const usable = (): string[] => outliers.usable(members).map(({ id }) => id);
  const probe = (): string | undefined => outliers.probe(members)?.id;
  return { clock, changes, outliers, done, failed, usable, probe };
}

suite('outliers', (test) => {
  test('five failures in a row and a member is passed over; a success in between starts anew', () => {
    const { failed, done, usable, changes } = outliersOf();
    failed(one, 4);
    done(one, 1);
    failed(one, 4);
    assert.equal(usable(), ['math-1', 'math-2', 'math-3']);
    failed(one, 1);
    assert.equal(usable(), ['math-2', 'math-3']);
    assert.equal(changes, ['math-1 ejected: 5 failures in a row']);
  });

  test('a member that is slow while others are not is passed over', () => {
    const { done, usable, changes } = outliersOf();
    for (let round = 0; round < 8; round++) {
      done(one, 60);
      done(two, 11);
      done(three, 9);
    }
    done(one, 60, 4);
    assert.equal(usable(), ['math-2', 'math-3']);
    assert.equal(changes, ['math-1 ejected: math.add takes 60.0 ms, at the others 11.0 ms']);
  });

  test('nobody is passed over when all are slow, for a few ms, for one slow call, or for other work', () => {
    const { done, usable } = outliersOf();
    for (const who of [one, two, three]) done(who, 500, 20, 'cnn.predict');
    done(one, 5, 20);
    done(two, 1, 20);
    done(three, 1, 20);
    for (const who of [one, two, three]) done(who, 10, 20, 'math.sum');
    done(one, 10_000, 1, 'math.sum');
    done(one, 10, 20, 'math.sum');
    done(two, 900, 20, 'math.rare');
    assert.equal(usable(), ['math-1', 'math-2', 'math-3']);
  });

  test('never more than half of a type is passed over', () => {
    const { failed, usable } = outliersOf();
    for (const who of [one, two, three]) failed(who, 10);
    assert.equal(usable(), ['math-2', 'math-3']);
    const alone = outliersOf([one]);
    alone.failed(one, 10);
    assert.equal(alone.usable(), ['math-1']);
  });

  test('when others have left, all that are there are used again', () => {
    const { failed, outliers } = outliersOf();
    failed(one, 5);
    assert.equal(outliers.usable([one]), [one]);
  });

  test('is taken back after its time by probes, one at a time', () => {
    const { failed, done, usable, probe, clock, changes } = outliersOf();
    failed(one, 5);
    clock.advance(4999);
    assert.is(probe(), undefined);
    clock.advance(1);
    for (let good = 0; good < 3; good++) {
      assert.equal(usable(), ['math-2', 'math-3']);
      assert.is(probe(), 'math-1');
      assert.is(probe(), undefined, 'one probe at a time');
      done(one, 1);
    }
    assert.equal(usable(), ['math-1', 'math-2', 'math-3']);
    assert.is(changes.at(-1), 'math-1 trusted: probes went well');
  });

  test('a bad probe ejects it again, for longer each time; a lost one is repeated', () => {
    const { failed, probe, clock, usable } = outliersOf();
    failed(one, 5);
    for (const seconds of [5, 10, 15]) {
      clock.advance(seconds * 1000 - 1);
      assert.is(probe(), undefined);
      clock.advance(1);
      assert.is(probe(), 'math-1');
      clock.advance(5000);
      assert.is(probe(), 'math-1', 'nothing was heard of the first');
      failed(one, 1);
    }
    assert.equal(usable(), ['math-2', 'math-3']);
  });

  test('a probe that is slow ejects it again', () => {
    const { done, probe, clock, changes } = outliersOf();
    for (const who of [two, three]) done(who, 10, 8);
    done(one, 100, 8);
    clock.advance(5000);
    for (const who of [two, three]) done(who, 10, 8);
    assert.is(probe(), 'math-1');
    done(one, 100);
    assert.is(
      changes.at(-1),
      'math-1 ejected: the probe of math.add takes 100.0 ms, at the others 10.0 ms',
    );
  });

  test('what ends after the ejection changes nothing, and lives that are over are forgotten', () => {
    const { failed, done, usable, outliers } = outliersOf();
    failed(one, 5);
    done(one, 1, 20);
    assert.equal(usable(), ['math-2', 'math-3']);
    assert.is(outliers.standingOf({ id: 'math-1', epoch: 2n }), 'trusted');
    outliers.retain(new Set(['math-2@1']));
    assert.is(outliers.standingOf(one), 'trusted');
  });
});
