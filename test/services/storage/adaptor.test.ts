import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import {
  bytesValue,
  integerValue,
  listValue,
  numberValue,
  tensorValue,
  textValue,
  toPlain,
} from '../../../protos/values.js';
import { makeStorageAdaptor } from '../../../services/storage/adaptor.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore, readText } from './fixture.js';
import type { Fixture } from './fixture.js';

type Given = Readonly<Record<string, Value>>;

function operations(fixture: Fixture, inlineLimitBytes = 1000) {
  const limits = { ...DEFAULT_STORAGE_LIMITS, max_listed_files: 3 };
  const adaptor = makeStorageAdaptor(fixture.store, { inlineLimitBytes, limits });
  return async (
    name: string,
    args: Given,
    step?: { run: string; step: string },
  ): Promise<Value> => {
    const operation = adaptor.operations.find((one) => one.spec.name === `storage.${name}`);
    assert.ok(operation, name);
    const known = operation.spec.arguments.map((argument) => argument.name);
    for (const given of Object.keys(args)) assert.ok(known.includes(given), given);
    return operation.perform(new Map(Object.entries(args)), {
      signal: new AbortController().signal,
      budgetMs: 1000,
      step,
      log: silentLogger(),
    });
  };
}

const WHERE = { client: textValue(CAT.client), name: textValue(CAT.name) };

suite('storage operations', (test) => {
  test('what write stores, read yields as bytes, text or an integer', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    const written = await perform('write', { ...WHERE, input: integerValue(-7n) });
    const file = await fixture.store.stat(CAT);
    assert.equal(toPlain(written), { ...CAT, version: 1, sizeBytes: 2, sha256: file.sha256 });
    const plain = bytesValue('text/plain', Buffer.from('-7'));
    assert.equal(await perform('read', WHERE), plain);
    const as = (form: string): Promise<Value> => perform('read', { ...WHERE, as: textValue(form) });
    assert.equal(await as('text'), textValue('-7'));
    assert.equal(await as('integer'), integerValue(-7n));
    assert.equal(await as('json'), bytesValue('application/json', Buffer.from('-7')));
    await rejects(as('poem'), FractoryError, { reason: 'INVALID_ARGUMENT' });
  });

  test('an integer is read exactly, with white space and zeros in front, and nothing else is one', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    const read = async (content: string): Promise<Value> => {
      await fixture.store.write(CAT, [Buffer.from(content)]);
      return perform('read', { ...WHERE, as: textValue('integer') });
    };
    assert.equal(await read(' 007\n'), integerValue(7n));
    assert.equal(await read('-0'), integerValue(0n));
    assert.equal(await read('9'.repeat(500)), integerValue('9'.repeat(500)));
    for (const content of ['', '1.5', '1 2', 'seven', '0x10', '--1'])
      await rejects(read(content), FractoryError, { reason: 'NOT_AN_INTEGER' });
  });

  test('content that is not what it is read as is refused with its own reason', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    await fixture.store.write(CAT, [Uint8Array.of(0xff, 0xfe)]);
    for (const [form, reason] of [
      ['text', 'NOT_TEXT'],
      ['integer', 'NOT_AN_INTEGER'],
      ['json', 'NOT_JSON'],
    ] as const)
      await rejects(perform('read', { ...WHERE, as: textValue(form) }), FractoryError, { reason });
  });

  test('a file past the inline limit is refused by name of the limit', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture, 10);
    await fixture.store.write(CAT, [Buffer.alloc(11)]);
    const error = await rejects(perform('read', WHERE), FractoryError, {
      reason: 'FILE_TOO_LARGE',
    });
    assert.match(error.message, 'inline_limit_bytes');
  });

  test('every kind of value can be written, whole and with its media type', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    const tensor = tensorValue({ datatype: 'UINT8', shape: [2n], data: Uint8Array.of(1, 2) });
    const stored = { datatype: 'UINT8', shape: [2], data: 'AQI=' };
    const cases: [string, Value, string, string][] = [
      ['a.bin', textValue('hello'), 'hello', 'text/plain'],
      ['a.json', textValue('{}'), '{}', 'application/json'],
      ['n', numberValue(1.5), '1.5', 'text/plain'],
      ['b', bytesValue('image/png', Buffer.from('x')), 'x', 'image/png'],
      ['c.jpg', bytesValue('application/octet-stream', Buffer.from('x')), 'x', 'image/jpeg'],
      ['t', tensor, JSON.stringify(stored), 'application/json'],
      [
        'l',
        listValue([integerValue(1n), tensor]),
        JSON.stringify(['1', stored]),
        'application/json',
      ],
    ];
    for (const [name, input, content, mediaType] of cases) {
      await perform('write', { ...WHERE, name: textValue(name), input });
      const ref = { client: CAT.client, name };
      assert.is(await readText(fixture.store, ref), content);
      assert.is((await fixture.store.stat(ref)).mediaType, mediaType, name);
    }
    const input = textValue('x');
    await perform('write', { ...WHERE, input, media_type: textValue('text/x-poem') });
    assert.is((await fixture.store.stat(CAT)).mediaType, 'text/x-poem');
  });

  test('write and delete have their effect once per step and heed if_version', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    const step = { run: 'r', step: 's' };
    const args = { ...WHERE, input: textValue('a'), if_version: integerValue(0n) };
    const first = await perform('write', args, step);
    assert.equal(await perform('write', args, step), first);
    await rejects(perform('write', args), FractoryError, { reason: 'VERSION_MISMATCH' });
    await rejects(perform('delete', { ...WHERE, if_version: integerValue(9n) }), FractoryError, {
      reason: 'VERSION_MISMATCH',
    });
    const deletion = { run: 'r', step: 'd' };
    const deleted = await perform('delete', WHERE, deletion);
    assert.equal(toPlain(deleted), { ...CAT, version: 1 });
    assert.equal(await perform('delete', WHERE, deletion), deleted);
  });

  test('list yields JSON up to its limit', async () => {
    await using fixture = await openStore({ max_page_size: 2 });
    const perform = operations(fixture);
    for (const name of ['a', 'b', 'c'])
      await fixture.store.write({ client: 'admin', name }, [Buffer.from('x')]);
    const files = toPlain(await perform('list', {})) as { name: string; version: number }[];
    assert.equal(
      files.map((file) => file.name),
      ['a', 'b', 'c'],
    );
    await fixture.store.write({ client: 'admin', name: 'd' }, [Buffer.from('x')]);
    await rejects(perform('list', {}), FractoryError, { reason: 'LIMIT_EXCEEDED' });
    const one = toPlain(await perform('list', { prefix: textValue('d') })) as unknown[];
    assert.is(one.length, 1);
  });
});
