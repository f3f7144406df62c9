import type { TrainingEpoch } from '../../../protos/gen/fractory/v1/cnn.js';
import { learningCurve, sparkline } from '../../../launcher/training/learning-curve.js';
import { reportJson, trainingReport } from '../../../launcher/training/training-report.js';
import { assert, suite } from '../../suite.js';

function epochs(...accuracies: number[]): TrainingEpoch[] {
  let best = -1;
  return accuracies.map((validationAccuracy, at) => {
    const isBest = validationAccuracy > best;
    best = Math.max(best, validationAccuracy);
    return {
      ...{ epoch: at + 1, trainingLoss: 1 / (at + 1), trainingAccuracy: validationAccuracy / 2 },
      ...{ validationLoss: 0.5, validationAccuracy, seconds: 3, best: isBest },
    };
  });
}

const FINISHED = {
  ...{ model: 'pets', version: 3, accuracy: 0.9, labels: ['cat', 'dog'], seconds: 125 },
  ...{ sha256: 'ab', sizeBytes: 3_000_000n },
  confusion: [{ counts: [45n, 5n] }, { counts: [5n, 45n] }],
};

suite('what is shown of a training', (test) => {
  test('the curve is an SVG that names the best epoch and holds all points', () => {
    const svg = learningCurve('Training of a<b', epochs(0.5, 0.8, 0.7));
    assert.match(svg, /^<svg [^]*<\/svg>\n$/);
    assert.match(svg, /a&lt;b/);
    assert.match(svg, /best: epoch 2, 80.0 %/);
    const lines = [...svg.matchAll(/points="([^"]*)"/g)].map(([, points = '']) =>
      points.split(' '),
    );
    assert.is(lines.filter((points) => points.length === 3).length, 4);
    assert.not.match(svg, /NaN|Infinity/);
  });

  test('one epoch, and a hundred, make a curve too', () => {
    for (const count of [1, 100]) {
      const many = epochs(...Array.from({ length: count }, (_, at) => 0.5 + at / 300));
      assert.not.match(learningCurve('x', many), /NaN|Infinity/);
      assert.ok(sparkline(many).length <= 61);
    }
  });

  test('the line of bars goes from the lowest to the highest', () => {
    assert.is(sparkline(epochs(0, 0.5, 1)), '▁▅█');
    assert.is(sparkline(epochs(0.5)), '█');
  });

  test('the report says version, accuracy, best epoch and confusion', () => {
    const report = trainingReport(FINISHED, epochs(0.5, 0.9));
    for (const text of [
      'pets version 3',
      '90.0 % of 100',
      '2 of 2',
      '2:05',
      'dog          5    45',
    ])
      assert.ok(report.includes(text), `${text} in ${report}`);
    assert.equal(reportJson(FINISHED, 'a.svg')['confusion'], [
      [45, 5],
      [5, 45],
    ]);
    assert.match(JSON.stringify(reportJson(FINISHED, 'a.svg')), /"sizeBytes":3000000/);
  });
});
