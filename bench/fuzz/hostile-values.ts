import { wholeBetween } from '../../runtime/seeded-random.js';
import type { Random } from '../../runtime/seeded-random.js';

/** One of several, all as likely. */
export function oneOf<T>(random: Random, choices: readonly T[]): T {
  const choice = choices[Math.floor(random() * choices.length)];
  if (choice === undefined) throw new Error('there is nothing to choose from');
  return choice;
}

export const chance = (random: Random, share: number): boolean => random() < share;

export function randomBytes(random: Random, count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  for (let at = 0; at < count; at++) bytes[at] = Math.floor(random() * 256);
  return bytes;
}

/** Words that mean something somewhere in a data center. */
const WORDS = [
  ...['storage-1', 'block-1', 'math-1', 'cnn-1', 'application-1', 'nobody-9', 'fuzz', '_runs', ''],
  ...['storage.read', 'storage.write', 'math.add', 'math.sum', 'cnn.classify', 'a', 'input', 'by'],
  ...['fuzzer', 'in.bin', 'image', 'input[0]', 'input[4294967295]', 'text/plain', 'FP32', 'BYTES'],
  ...['2', '0', '-1', '1.5', '1e309', 'NaN', '-0', '9'.repeat(400), '0x10', '1/0', 'sqrt(-1)', 'i'],
  ...['tiny', 'small', '100!!', '9^9^9^9', '[1,2,3]', 'ones(1000,1000)', 'import("fs")', 'x', 'k'],
] as const;

/** Texts that trip up those who take them for something else. */
const TRAPS: readonly Buffer[] = [
  ...['../../../../etc/passwd', '/etc/passwd', '..', '.', 'a/../b', 'a\0b', '\0', 'con', '-rf'],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '%s%n%x', '${7*7}', '\r\n\r\nx: y'],
  ...['\u202e\u0000\ufffd', 'é'.repeat(300), '👩‍👩‍👧‍👦', '\uffff', ' ', '\t\n', '"', "'", '`', '\\'],
  ...['('.repeat(5000), '['.repeat(20_000), '-'.repeat(3000) + '1', '{"a":'.repeat(2000)],
  ...['1+'.repeat(3000) + '1', 'x='.repeat(900) + '1', '!'.repeat(500), 'A'.repeat(70_000)],
].map((text) => Buffer.from(text));

const NOT_UTF8: readonly Buffer[] = [
  'ff',
  'c080',
  'eda080',
  'f8888080',
  '61c3',
  'f4908080',
  'fe41',
].map((hex) => Buffer.from(hex, 'hex'));

/** Beginnings of files that somebody might try to read. */
const MAGIC = [
  ...['89504e470d0a1a0a0000000d49484452ffffffffffffffff0806000000', 'ffd8ffe000104a46494600010101'],
  ...['474946383961ffffffff', '1f8b0800000000000003', '504b0304', '52494646ffffffff57454250'],
  ...[
    '3c73766720786d6c6e733d22687474703a2f2f7777772e77332e6f72672f323030302f737667223e3c2f7376673e',
  ],
].map((hex) => Buffer.from(hex, 'hex'));

export function hostileText(random: Random): Buffer {
  const roll = random();
  if (roll < 0.55) return Buffer.from(oneOf(random, WORDS));
  if (roll < 0.85) return oneOf(random, TRAPS);
  if (roll < 0.95) return oneOf(random, NOT_UTF8);
  return randomBytes(random, wholeBetween(random, 1, 64));
}

export function hostileBytes(random: Random): Buffer {
  const roll = random();
  if (roll < 0.15) return Buffer.alloc(0);
  if (roll < 0.35) return Buffer.concat([oneOf(random, MAGIC), randomBytes(random, 40)]);
  if (roll < 0.38) return Buffer.alloc(wholeBetween(random, 65_536, 1_500_000), 7);
  return randomBytes(random, wholeBetween(random, 1, 96));
}

const NUMBERS = [
  ...[0n, 1n, 2n, 3n, 7n, 255n, 256n, 1000n, 65_535n, 65_536n, 2n ** 31n - 1n, 2n ** 31n],
  ...[2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n],
  ...[2n ** 64n - 1n, 2n ** 64n - 2n],
];

/** Whole number as a varint carries it: 0 to below 2^64, negative ones from above. */
export const hostileNumber = (random: Random): bigint =>
  chance(random, 0.5) ? BigInt(wholeBetween(random, 0, 16)) : oneOf(random, NUMBERS);

export const hostileDouble = (random: Random): number =>
  oneOf(random, [
    0,
    -0,
    1,
    -1.5,
    Number.NaN,
    Infinity,
    -Infinity,
    1e308,
    5e-324,
    2 ** 53,
    random(),
  ]);
