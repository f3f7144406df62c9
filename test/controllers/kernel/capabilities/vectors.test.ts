import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import {
  encodeCaveat,
  isGenuine,
  mint,
  narrow,
  RIGHT_INVOKE,
  RIGHT_READ,
  RIGHT_REVOKE,
  RIGHT_WRITE,
  rootBytes,
} from '../../../../controllers/kernel/capabilities/token.js';
import type { CapabilityRoot } from '../../../../controllers/kernel/capabilities/token.js';
import { ObjectKind } from '../../../../protos/gen/fractory/v1/capability.js';
import type { Caveat } from '../../../../protos/gen/fractory/v1/caveat.js';
import { integerValue } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';

const DOCUMENT = new URL('../../../../../docs/PROTOCOL.md', import.meta.url);
const BLOCK = /<!-- vectors -->\n\n([^]*?)\n\n<!-- \/vectors -->/;

const secret = Uint8Array.from({ length: 32 }, (_, byte) => byte);
const owner = { owner: 'math-1', epoch: 5n };

const vectors: readonly (readonly [string, CapabilityRoot, readonly Partial<Caveat>[]])[] = [
  [
    'an operation, for one step of a run, until 2023-11-14T22:13:20Z, with one argument fixed',
    { ...owner, object: 3n, node: 3n, kind: ObjectKind.REQUEST, rights: RIGHT_INVOKE },
    [
      { expiresAtMs: 1_700_000_000_000n, step: { run: 'r', step: 's' } },
      { arguments: [{ name: 'by', value: integerValue(3n) }] },
    ],
  ],
  [
    'a derived memory, read only, bytes 256 to 511',
    { ...owner, object: 7n, node: 9n, kind: ObjectKind.MEMORY, rights: RIGHT_READ | RIGHT_WRITE },
    [{ rights: RIGHT_READ }, { range: { offset: 256n, length: 256n } }],
  ],
  [
    'its revoker',
    { ...owner, object: 7n, node: 9n, kind: ObjectKind.MEMORY, rights: RIGHT_REVOKE },
    [],
  ],
  [
    'a step inside a map, item 2, at most 500 ms, that waits for two inputs',
    { ...owner, object: 4n, node: 4n, kind: ObjectKind.REQUEST, rights: RIGHT_INVOKE },
    [{ timeoutMs: 500, gate: { inputs: ['input[0]', 'input[1]'] } }, { item: 2 }],
  ],
];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The block of the document, written by the code. */
function written(): string {
  const lines = ['    secret   ' + hex(secret)];
  for (const [what, root, caveats] of vectors) {
    let capability = mint(secret, root);
    lines.push('', `    ${what}`, `    root     ${hex(rootBytes(root))}`);
    lines.push(`    tag 0    ${hex(capability.tag)}`);
    for (const [index, caveat] of caveats.entries()) {
      capability = narrow(capability, caveat);
      lines.push(`    caveat ${String(index + 1)} ${hex(capability.caveats.at(-1) ?? secret)}`);
      lines.push(`    tag ${String(index + 1)}    ${hex(capability.tag)}`);
    }
  }
  return lines.join('\n');
}

suite('test vectors of docs/PROTOCOL.md', (test) => {
  test('are what the code makes', async () => {
    const [, block] = BLOCK.exec(await readFile(DOCUMENT, 'utf8')) ?? [];
    assert.is(block, written());
  });

  test('can be followed with nothing but an HMAC', () => {
    const chain = (key: Uint8Array, message: Uint8Array): Buffer =>
      createHmac('sha256', key).update(message).digest();
    for (const [, root, caveats] of vectors) {
      const made = caveats.reduce(narrow, mint(secret, root));
      const tag = caveats
        .map(encodeCaveat)
        .reduce<Uint8Array>(chain, chain(secret, rootBytes(root)));
      assert.is(hex(made.tag), hex(tag));
      assert.ok(isGenuine(secret, made));
    }
  });
});
