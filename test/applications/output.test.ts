import { status } from '@grpc/grpc-js';
import { CommanderError } from 'commander';

import { file, integer, optional, text } from '../../applications/sdk/options.js';
import {
  answerAsJson,
  answerAsLines,
  failureAsJson,
  table,
  toJson,
} from '../../applications/sdk/output.js';
import { columns, duration, size, waterfall } from '../../applications/sdk/waterfall.js';
import { storedName } from '../../applications/image-prediction.js';
import type { Receipt } from '../../protos/gen/fractory/v1/graph.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, suite, throws } from '../suite.js';

function receipt(fields: Partial<Receipt>): Receipt {
  return {
    ...{ step: 'add-1', operation: 'math.add', member: 'math-1', epoch: 1n, arrivedAtUs: 0n },
    ...{ transferUs: 0, queueUs: 0, computeUs: 0, bytesIn: 0n, bytesOut: 0n, reused: false },
    ...{ pullUs: 0, heldBytes: 0n, tries: 0 },
    ...fields,
  };
}

const run = {
  ...{ id: 'r', result: 1n, attempts: 2, elapsedMs: 12.34 },
  receipts: [receipt({ arrivedAtUs: 2n ** 60n, bytesIn: 5n })],
};

suite('options of applications', (test) => {
  test('an integer of any size is read, and nothing else', () => {
    const spec = integer('n');
    assert.is(spec.read('-123456789012345678901234567890', 'n'), -123456789012345678901234567890n);
    for (const bad of ['', '1.5', '1e3', ' 1', 'x']) {
      const error = throws(() => spec.read(bad, 'n'), FractoryError, {
        reason: 'INVALID_ARGUMENT',
      });
      assert.is(error.message, `--n: expected a whole number, found ${JSON.stringify(bad)}`);
    }
  });

  test('a default is kept as typed, an optional one may be missing', () => {
    assert.is(integer('n', { default: '7' }).defaultText, '7');
    assert.equal([text('t').isOptional, optional(text('t')).isOptional], [false, true]);
    assert.is(file('f').read('a b', 'f'), 'a b');
  });

  test('a local file gets a name that storage takes', () => {
    assert.equal(['/tmp/cat.png', 'my cat (1).png', '.hidden', 'ä/ö.png'].map(storedName), [
      'cat.png',
      'my_cat__1_.png',
      '_hidden',
      '_.png',
    ]);
  });
});

suite('waterfall', (test) => {
  test('shows the steps on one time axis', () => {
    const lines = waterfall([
      receipt({
        step: 'a',
        transferUs: 100,
        arrivedAtUs: 1100n,
        queueUs: 100,
        computeUs: 200,
        bytesOut: 2048n,
      }),
      receipt({ step: 'b', arrivedAtUs: 1600n, transferUs: 200, computeUs: 2000, reused: true }),
    ]);
    assert.is(lines.length, 4);
    assert.is(lines[3], '- on the way (of a join: its last input), . waiting, = at work');
    assert.match(lines[0]!, /^step +operation +member +way +wait +work +in > out$/);
    assert.match(
      lines[1]!,
      /^a +math.add +math-1 +-\.=+ .* 100 us +100 us +200 us +0 B > 2.0 KiB$/,
    );
    assert.match(lines[2]!, /^b +math.add +math-1 \(reused\) +--+=+ +200 us +0 us +2.00 ms/);
  });

  test('steps side by side stand in the order in which they began, whatever that of their receipts', () => {
    const lines = waterfall([
      receipt({ step: 'join', arrivedAtUs: 3000n, computeUs: 1000 }),
      receipt({ step: 'slow', arrivedAtUs: 1000n, computeUs: 2000 }),
      receipt({ step: 'fast', arrivedAtUs: 1100n, computeUs: 100 }),
    ]);
    assert.equal(
      lines.map((line) => line.split(' ', 1)[0]),
      ['step', 'slow', 'fast', 'join', '-'],
    );
    const bars = lines.slice(1, -1).map((line) => line.indexOf('='));
    assert.ok(bars[0]! < bars[1]! && bars[1]! < bars[2]!);
  });

  test('pulling, what is kept and how often it was tried are shown where there is any', () => {
    const lines = waterfall([
      receipt({ arrivedAtUs: 0n, computeUs: 500, bytesOut: 2n ** 21n, heldBytes: 2n ** 21n }),
      receipt({ arrivedAtUs: 500n, pullUs: 1500, computeUs: 100, tries: 3 }),
    ]);
    assert.match(lines[0]!, /way +wait +pull +work/);
    assert.match(lines[1]!, /0 us +500 us +0 B > 2.0 MiB kept$/);
    assert.match(lines[2]!, /math-1 \(3 tries\) +~~~+=+ .*1.50 ms +100 us/);
    assert.match(lines[3]!, /~ pulling/);
  });

  test('many steps are cut short, with their count', () => {
    const many = Array.from({ length: 100 }, (_, index) =>
      receipt({ step: `s[${String(index)}]` }),
    );
    const lines = waterfall(many);
    assert.is(lines.length, 67);
    assert.is(lines.at(-2), '... and 36 more steps');
  });

  test('nothing to show is no line', () => {
    assert.equal(waterfall([]), []);
  });

  test('clocks that disagree do no harm', () => {
    const lines = waterfall([
      receipt({ arrivedAtUs: 5_000_000n, transferUs: 4_294_967_295 }),
      receipt({ arrivedAtUs: 1n }),
    ]);
    assert.is(lines.length, 4);
  });

  test('times and sizes are for people', () => {
    assert.equal([0, 999, 1500, 15_000, 2_000_000].map(duration), [
      '0 us',
      '999 us',
      '1.50 ms',
      '15.0 ms',
      '2000.0 ms',
    ]);
    assert.equal([0, 1023, 1536, 3 * 1024 ** 2].map(size), ['0 B', '1023 B', '1.5 KiB', '3.0 MiB']);
    assert.equal(
      columns([
        ['a', 'bb'],
        ['ccc', 'd'],
      ]),
      ['a    bb', 'ccc  d'],
    );
  });
});

suite('answers', (test) => {
  test('as JSON: one object, big integers as text', () => {
    const json = JSON.parse(
      answerAsJson('shift-left', { answer: { n: 2n ** 70n }, runs: [run] }),
    ) as {
      runs: unknown[];
    };
    assert.equal(json, {
      ...{ application: 'shift-left', n: String(2n ** 70n) },
      runs: [
        {
          ...{ id: 'r', attempts: 2, elapsedMs: 12.34 },
          receipts: [
            {
              ...{ step: 'add-1', operation: 'math.add', member: 'math-1', epoch: '1' },
              ...{ arrivedAtUs: String(2n ** 60n), transferUs: 0, queueUs: 0, computeUs: 0 },
              ...{ bytesIn: 5, bytesOut: 0, reused: false, pullUs: 0, heldBytes: 0, tries: 0 },
            },
          ],
        },
      ],
    });
    assert.is(toJson([1n]), '["1"]');
  });

  test('a failure as JSON: what and where', () => {
    const error = new FractoryError(status.NOT_FOUND, 'MODEL_NOT_FOUND', 'there is no model x', {
      metadata: { step: 'predict-2', member: 'cnn-1', other: 'y' },
    });
    assert.equal(JSON.parse(failureAsJson(error)), {
      error: {
        ...{ code: 'NOT_FOUND', reason: 'MODEL_NOT_FOUND', message: 'there is no model x' },
        ...{ step: 'predict-2', member: 'cnn-1' },
      },
    });
    const usage = new CommanderError(1, 'commander.unknownOption', "error: unknown option '--x'");
    assert.equal(JSON.parse(failureAsJson(usage)), {
      error: { code: 'INVALID_ARGUMENT', reason: 'BAD_USAGE', message: "unknown option '--x'" },
    });
  });

  test('as lines: keys, a table for a list, then the runs', () => {
    const lines = answerAsLines({
      answer: { n: '7', results: [{ label: 'cat', probability: 0.987 }] },
      runs: [run],
    });
    assert.equal(lines.slice(0, 5), [
      'n           7',
      'label  probability',
      'cat    98.7 %',
      '',
      'run r: 12.3 ms, 2 attempts',
    ]);
    assert.equal(table([]), []);
    assert.equal(table([{ a: 1 }, { b: 'x' }]), ['a  b', '1', '   x']);
  });
});
