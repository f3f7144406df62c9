import fc from 'fast-check';

import { decodeCoordinate, encodeCoordinate } from '../../../gossip/serf/coordinate-payload.js';
import { DIMENSIONS, distance, isSound, NetworkPlace } from '../../../gossip/serf/coordinate.js';
import type { Coordinate } from '../../../gossip/serf/coordinate.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

/** Members that ping each other at random, `roundTrip` apart, s. */
function settled(members: number, rounds: number, roundTrip: (a: number, b: number) => number) {
  const random = seededRandom(7);
  const places = Array.from({ length: members }, () => new NetworkPlace(random));
  for (let round = 0; round < rounds; round++)
    for (const [at, place] of places.entries()) {
      const other = Math.floor(random() * members);
      if (other === at) continue;
      place.observe(String(other), places[other]!.coordinate, roundTrip(at, other));
    }
  return places.map(({ coordinate }) => coordinate);
}

function worstMiss(
  coordinates: readonly Coordinate[],
  roundTrip: (a: number, b: number) => number,
): number {
  let worst = 0;
  for (const [a, one] of coordinates.entries())
    for (const [b, other] of coordinates.entries())
      if (a !== b) worst = Math.max(worst, Math.abs(distance(one, other) / roundTrip(a, b) - 1));
  return worst;
}

suite('network coordinates', (test) => {
  test('members on a line are found to be as far apart as their round trips say', () => {
    const apart = (a: number, b: number): number => 0.01 * Math.abs(a - b);
    assert.ok(worstMiss(settled(10, 2000, apart), apart) < 0.1);
  });

  test('two sites: near within, far between them', () => {
    const apart = (a: number, b: number): number => (a % 2 === b % 2 ? 0.001 : 0.1);
    const coordinates = settled(12, 2000, apart);
    const [one, other, same] = coordinates as [Coordinate, Coordinate, Coordinate];
    assert.ok(Math.abs(distance(one, other) - 0.1) < 0.01, String(distance(one, other)));
    assert.ok(distance(one, same) < 0.01, String(distance(one, same)));
    for (const { error, height } of coordinates) {
      assert.ok(error < 0.5, String(error));
      assert.ok(height >= 10e-6);
    }
  });

  test('one slow answer of three counts for nothing', () => {
    const place = new NetworkPlace(seededRandom(1));
    const other = new NetworkPlace(seededRandom(2)).coordinate;
    for (let answer = 0; answer < 20; answer++) place.observe('m', other, 0.002);
    const before = distance(place.coordinate, other);
    place.observe('m', other, 5);
    assert.ok(Math.abs(distance(place.coordinate, other) - before) < 0.001);
  });

  test('whatever others claim, it stays a place in the space', () => {
    const number = fc.double({ noDefaultInfinity: false });
    const claimed = fc.record({
      vector: fc.array(number, { maxLength: DIMENSIONS + 1 }),
      ...{ error: number, adjustment: number, height: number },
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(claimed, number)), (claims) => {
        const place = new NetworkPlace(seededRandom(3));
        for (const [other, seconds] of claims) place.observe('m', other, seconds);
        return isSound(place.coordinate) && place.coordinate.error <= 1.5;
      }),
      { seed: 11 },
    );
  });

  test('what can not be true is not learnt from', () => {
    const place = new NetworkPlace(seededRandom(4));
    const other = place.coordinate;
    for (const seconds of [-1, 10.1, Number.NaN]) assert.not.ok(place.observe('m', other, seconds));
    assert.not.ok(place.observe('m', { ...other, vector: [1, 2] }, 0.1));
    const madeUp = [{ error: -1.5 }, { error: 9 }, { height: -1 }, { height: 1e9 }];
    for (const lie of [...madeUp, { adjustment: -1e9 }, { vector: other.vector.map(() => 1e9) }])
      assert.not.ok(place.observe('m', { ...other, ...lie }, 0.1));
    assert.equal(place.coordinate, other);
  });

  test('it rides on acks as agents of Serf write it', () => {
    const own: Coordinate = {
      ...{ vector: [1, 0, 0, 0, 0, 0, 0, 0.5], error: 0.25, adjustment: -0.001, height: 0.00001 },
    };
    const payload = encodeCoordinate(own);
    const head = Buffer.from(payload.subarray(0, 13));
    assert.is(head.toString('latin1'), '\u0001\u0084\u00aaAdjustment');
    assert.equal(decodeCoordinate(payload), own);
    assert.is(decodeCoordinate(new Uint8Array()), undefined);
  });
});
