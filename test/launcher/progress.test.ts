import { ProgressBar, RateMeter } from '../../launcher/progress-bar.js';
import { durationText, progressLine } from '../../launcher/progress-line.js';
import { assert, suite } from '../suite.js';
import { RecordingTerminal } from './recording-terminal.js';

const title = { label: 'predict', unit: 'pictures' };
const half = { done: 50, of: 100, ratePerSecond: 12.4, etaSeconds: 65, detail: '3 failed' };

suite('progress line', (test) => {
  test('shows bar, share, counts, rate, what is left and the detail', () => {
    assert.is(
      progressLine(title, half, 90),
      'predict  [=============>               ]  50 %  50/100 pictures  12/s  ETA 1:05  3 failed',
    );
  });

  test('never reaches the last column, whatever there is to say and however narrow it is', () => {
    for (let columns = 0; columns <= 200; columns++) {
      const line = progressLine(title, half, columns);
      assert.ok(line.length < Math.max(columns, 1), `${String(columns)}: ${line}`);
    }
  });

  test('drops the detail first, then rate, counts and ETA, and the bar last', () => {
    const at = (columns: number): string => progressLine(title, half, columns);
    assert.is(at(61), 'predict  [====>     ]  50 %  50/100 pictures  12/s  ETA 1:05');
    assert.match(at(60), /^predict {2}\[=+> +\] {2}50 % {2}50\/100 pictures {2}ETA 1:05$/);
    assert.match(at(45), /^predict {2}\[=+> +\] {2}50 % {2}ETA 1:05$/);
    assert.match(at(30), /^predict {2}\[===?=?> +\] {2}50 %$/);
    assert.is(at(20), 'predict  50 %');
  });

  test('has neither bar nor ETA while the total is not known', () => {
    const line = progressLine(title, { done: 7, ratePerSecond: 3.25, etaSeconds: 9 }, 80);
    assert.is(line, 'predict  7 pictures  3.3/s');
  });

  test('is full only where nothing is left', () => {
    assert.match(progressLine({ label: 'x' }, { done: 999, of: 1000 }, 80), /> \] {2}99 %/);
    assert.match(progressLine({ label: 'x' }, { done: 1000, of: 1000 }, 80), /=\] 100 %/);
    assert.match(progressLine({ label: 'x' }, { done: 0, of: 0 }, 80), /100 %/);
  });
});

suite('durations', (test) => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [6.2, '7 s'],
    [59.5, '1:00'],
    [65, '1:05'],
    [7207, '2:00:07'],
    [Infinity, '> 99 h'],
    [Number.NaN, '> 99 h'],
  ];
  for (const [seconds, text] of cases)
    test(`${String(seconds)} s is ${text}`, () => {
      assert.is(durationText(seconds), text);
    });
});

suite('rate meter', (test) => {
  test('follows the last ten seconds and falls while nothing happens', () => {
    const meter = new RateMeter(0);
    assert.is(meter.perSecond(1000), 0);
    for (let second = 1; second <= 30; second++) meter.sample(second * 10, second * 1000);
    assert.is(Math.round(meter.perSecond(30_000)), 10);
    for (let second = 31; second <= 60; second++)
      meter.sample(300 + (second - 30) * 100, second * 1000);
    assert.is(Math.round(meter.perSecond(60_000)), 100);
    assert.ok(meter.perSecond(120_000) < 20);
  });

  test('what was done before does not count as fast', () => {
    const meter = new RateMeter(0, 1000);
    meter.sample(1010, 1000);
    assert.is(meter.perSecond(1000), 10);
  });
});

suite('progress bar', (test) => {
  test('moves on a terminal and takes its line away at the end', async () => {
    const terminal = new RecordingTerminal(true);
    {
      using bar = new ProgressBar(terminal, title);
      bar.update({ done: 5, of: 10 });
      await terminal.hasMoved(1);
    }
    assert.match(terminal.moved[0] ?? '', /50 % {2}5\/10 pictures/);
    assert.is(terminal.moved.at(-1), '');
  });

  test('shows nothing where there is no terminal', async () => {
    const terminal = new RecordingTerminal();
    using bar = new ProgressBar(terminal, title);
    bar.update({ done: 5, of: 10 });
    // One that began later has drawn by now.
    const other = new RecordingTerminal(true);
    {
      using later = new ProgressBar(other, title);
      later.update({ done: 5, of: 10 });
      await other.hasMoved(1);
    }
    assert.equal([...terminal.moved, ...terminal.noted, ...terminal.printed], []);
  });
});
