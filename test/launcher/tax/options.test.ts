import { formatRate, parseLatency, parseRate } from '../../../launcher/network/link-shape.js';
import { formatBytes, parseSizes } from '../../../launcher/tax/sizes.js';
import { assert, suite } from '../../suite.js';

suite('options of the tax', (test) => {
  const sizes: readonly (readonly [string, number[] | undefined])[] = [
    ['1KiB,64KiB,1MiB', [1024, 65_536, 1_048_576]],
    ['1 mib, 1024,1kib', [1024, 1_048_576]],
    ['256', [256]],
    ['16MiB', [16 * 1024 ** 2]],
    ['255', undefined],
    ['17MiB', undefined],
    ['1KiB,', undefined],
    ['1.5KiB', undefined],
    ['1GiB', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of sizes)
    test(`sizes "${text}" are ${String(expected)}`, () => {
      assert.equal(parseSizes(text), expected);
    });

  const rates: readonly (readonly [string, number | undefined])[] = [
    ['1gbit', 1e9],
    ['2.5 Gbit', 2.5e9],
    ['100mbit', 1e8],
    ['1mbit', 1e6],
    ['999kbit', undefined],
    ['101gbit', undefined],
    ['1gb', undefined],
    ['fast', undefined],
  ];
  for (const [text, expected] of rates)
    test(`a rate of ${text} is ${String(expected)} bits a second`, () => {
      assert.is(parseRate(text), expected);
    });

  const times: readonly (readonly [string, number | undefined])[] = [
    ['100us', 100],
    ['1.5ms', 1500],
    ['0us', undefined],
    ['2000ms', undefined],
    ['1s', undefined],
    ['-1ms', undefined],
  ];
  for (const [text, expected] of times)
    test(`a latency of ${text} is ${String(expected)} microseconds`, () => {
      assert.is(parseLatency(text), expected);
    });

  test('figures are written with their units', () => {
    assert.equal([900, 1024, 1536, 2.5 * 1024 ** 2].map(formatBytes), [
      '900 B',
      '1 KiB',
      '1.50 KiB',
      '2.50 MiB',
    ]);
    assert.equal([1e9, 954_632_000, 2.5e9].map(formatRate), [
      '1 Gbit/s',
      '955 Mbit/s',
      '2.5 Gbit/s',
    ]);
  });
});
