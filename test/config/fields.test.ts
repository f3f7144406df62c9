import { bytes, flag, httpUrl, integer, list, oneOf, text } from '../../config/fields.js';
import type { z } from 'zod';
import { assert, suite } from '../suite.js';

const sound: readonly (readonly [field: z.ZodType, raw: unknown, value: unknown])[] = [
  [integer(1, 5), '5', 5],
  [integer(-5, 5), ' -3 ', -3],
  [bytes(0, 2 ** 30), '64 KiB', 65_536],
  [bytes(0, 2 ** 30), '8MiB', 8_388_608],
  [bytes(0, 2 ** 30), '17', 17],
  [flag(), true, true],
  [flag(), 'false', false],
  [oneOf('a', 'b'), 'b', 'b'],
  [text(), ' x ', 'x'],
  [list(), 'a, b,c', ['a', 'b', 'c']],
  [httpUrl(), 'http://127.0.0.1:4318', 'http://127.0.0.1:4318'],
  [httpUrl(), ' https://[::1]/otlp ', 'https://[::1]/otlp'],
];

const unsound: readonly (readonly [field: z.ZodType, raw: unknown, expected: RegExp])[] = [
  [integer(1, 5), '6', /whole number from 1 to 5/],
  [integer(1, 5), '2.5', /whole number/],
  [bytes(0, 1024), '2 KiB', /from 0 to 1024 bytes/],
  [bytes(0, 1024), '1 kb', /such as 64 KiB/],
  [flag(), 'yes', /true or false/],
  [oneOf('a', 'b'), 'c', /one of a, b/],
  [text(), '', /text/],
  [text(), undefined, /text/],
  [list(), 'a,,b', /commas/],
  [httpUrl(), '127.0.0.1:4318', /URL such as http/],
  [httpUrl(), 'grpc://127.0.0.1:4317', /URL such as http/],
  [httpUrl(), 'http://me:secret@127.0.0.1', /without user and password/],
];

suite('fields of the ini file', (test) => {
  for (const [field, raw, value] of sound)
    test(`${JSON.stringify(raw)} reads as ${JSON.stringify(value)}`, () => {
      assert.equal(field.parse(raw), value);
    });
  for (const [field, raw, expected] of unsound)
    test(`${String(raw)} is refused as not ${expected.source}`, () => {
      const result = field.safeParse(raw);
      assert.is(result.success, false);
      assert.match(result.error?.issues[0]?.message ?? '', expected);
    });
});
