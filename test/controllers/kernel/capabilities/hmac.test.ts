import { createHmac } from 'node:crypto';

import fc from 'fast-check';

import { hmacSha256 } from '../../../../controllers/kernel/capabilities/hmac.js';
import { assert, suite } from '../../../suite.js';
import { SEED } from './capability-table.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

suite(`hmac (seed ${String(SEED)})`, (test) => {
  test('is the HMAC-SHA256 of RFC 4231', () => {
    const cases: readonly (readonly [Uint8Array, Uint8Array, string])[] = [
      [
        Buffer.alloc(20, 0x0b),
        Buffer.from('Hi There'),
        'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
      ],
      [
        Buffer.from('Jefe'),
        Buffer.from('what do ya want for nothing?'),
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      ],
    ];
    for (const [key, message, expected] of cases) {
      assert.is(hex(hmacSha256(key, message)), expected);
      // A key is filled up with zeros: the same key in 32 bytes takes the short way.
      const filled = Buffer.concat([key, Buffer.alloc(32 - key.length)]);
      assert.is(hex(hmacSha256(filled, message)), expected);
    }
  });

  test('is what createHmac gives for any key and message, one after the other', () => {
    const keys = fc.oneof(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ maxLength: 100 }),
    );
    const messages = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(10_000).map((length) => new Uint8Array(length).fill(length)),
      fc.constantFrom(4095, 4096, 4097).map((length) => new Uint8Array(length)),
    );
    fc.assert(
      fc.property(keys, messages, (key, message) => {
        const expected = createHmac('sha256', key).update(message).digest('hex');
        assert.is(hex(hmacSha256(key, message)), expected);
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});
