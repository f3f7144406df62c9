import { formatDuration, parseDuration } from '../../../launcher/chaos/duration.js';
import { assert, suite } from '../../suite.js';

suite('times on a command line', (test) => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ...([
      ['500ms', 500],
      ['5s', 5000],
      ['5', 5000],
      ['1.5s', 1500],
      ['30m', 1_800_000],
    ] as const),
    ...([
      ['2h', 7_200_000],
      ['0', undefined],
      ['-1s', undefined],
      ['', undefined],
    ] as const),
    ...([
      ['5d', undefined],
      ['five', undefined],
      ['1e3', undefined],
    ] as const),
  ];
  for (const [text, ms] of cases)
    test(`${JSON.stringify(text)} is ${ms === undefined ? 'none' : `${String(ms)} ms`}`, () => {
      assert.is(parseDuration(text), ms);
    });

  test('people read a unit that fits', () => {
    assert.equal([37, 1940, 19_400, 720_000].map(formatDuration), [
      ...['37 ms', '1.94 s', '19.4 s', '12 min'],
    ]);
  });
});
