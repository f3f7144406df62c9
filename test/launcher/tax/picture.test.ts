import sharp from 'sharp';

import { taxPicture } from '../../../launcher/tax/picture.js';
import { linearScale, logScale, logTicks } from '../../../launcher/tax/scale.js';
import { assert, suite } from '../../suite.js';
import { row } from './fixture.js';

const KIB = 1024;
const sizes = [KIB, 64 * KIB, KIB * KIB];

suite('tax picture', (test) => {
  test('it is an image with both graphs, every size, and who was faster there', async () => {
    const rows = sizes.flatMap((size, index) => [
      row('linear', size, 0.9 + 0.4 * index),
      row('layered', size, 1.2 + index),
    ]);
    const svg = taxPicture(rows, 'links: <loopback> & more');
    const { format, width, height } = await sharp(Buffer.from(svg)).metadata();
    assert.is(format, 'svg');
    assert.ok(width > 900 && height > 500);
    for (const label of ['>linear<', '>layered<', '>1 KiB<', '>64 KiB<', '>1 MiB<', '>star<'])
      assert.match(svg, label);
    assert.match(svg, 'links: &lt;loopback&gt; &amp; more');
    const winners = [...svg.matchAll(/y="677[^>]*>(\w+)</g)].map(([, label]) => label);
    assert.equal(winners, ['faster', 'star', 'ring', 'ring', 'faster', 'ring', 'ring', 'ring']);
    assert.not.match(svg, 'NaN');
  });

  test('conditions that are longer than the picture is wide take another line', () => {
    const conditions = `${'a'.repeat(60)}; ${'b'.repeat(60)}; c`;
    const svg = taxPicture([row('linear', KIB, 1)], conditions);
    assert.match(svg, `y="50" fill="#57606a">${'a'.repeat(60)};<`);
    assert.match(svg, `y="67" fill="#57606a">${'b'.repeat(60)}; c<`);
  });

  test('one graph at one size is a picture too', async () => {
    const svg = taxPicture([row('linear', KIB, 1)], '');
    assert.not.match(svg, /NaN|Infinity|undefined/);
    assert.is((await sharp(Buffer.from(svg)).metadata()).format, 'svg');
  });
});

suite('scales', (test) => {
  test('a linear scale maps ends to ends, a logarithmic one ratios to distances', () => {
    assert.is(linearScale([0, 4], [100, 0])(1), 75);
    const scale = logScale([1, 100], [0, 10]);
    assert.is(scale(1), 0);
    assert.is(scale(10), 5);
  });

  test('ticks frame the values', () => {
    assert.equal(logTicks([1.9, 60]), [1, 2, 5, 10, 20, 50, 100]);
    assert.equal(logTicks([0.3, 0.4]), [0.2, 0.5]);
    assert.equal(logTicks([2, 2]), [2, 5]);
  });
});
