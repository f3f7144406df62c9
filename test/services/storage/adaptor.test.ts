import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { ObjectKind } from '../../../protos/gen/fractory/v1/capability.js';
import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { Failure, Value } from '../../../protos/gen/fractory/v1/value.js';
import {
  bytesValue,
  failureValue,
  integerValue,
  listValue,
  numberValue,
  tensorValue,
  textValue,
  toBlob,
  toPlain,
} from '../../../protos/values.js';
import type { OperationResult } from '../../../services/adaptor.js';
import { KeptResult } from '../../../services/content.js';
import { makeStorageAdaptor } from '../../../services/storage/adaptor.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore, readText } from './fixture.js';
import type { Fixture } from './fixture.js';

type Given = Readonly<Record<string, Value>>;

function operations(fixture: Fixture, inlineLimitBytes = 1000) {
  const perform = results(fixture, inlineLimitBytes);
  return async (
    name: string,
    args: Given,
    step?: { run: string; step: string },
  ): Promise<Value> => {
    const result = await perform(name, args, step);
    assert.not.instance(result, KeptResult);
    return result as Value;
  };
}

function results(fixture: Fixture, inlineLimitBytes = 1000) {
  const limits = { ...DEFAULT_STORAGE_LIMITS, max_listed_files: 3, max_text_bytes: 2000 };
  const options = { inlineLimitBytes, limits, maxLoadedBytes: 5000 };
  const adaptor = makeStorageAdaptor(fixture.store, options);
  return async (
    name: string,
    args: Given,
    step?: { run: string; step: string },
  ): Promise<OperationResult> => {
    const operation = adaptor.operations.find((one) => one.spec.name === `storage.${name}`);
    assert.ok(operation, name);
    const known = operation.spec.arguments.map((argument) => argument.name);
    for (const given of Object.keys(args)) assert.ok(known.includes(given), given);
    return operation.perform(new Map(Object.entries(args)), {
      signal: new AbortController().signal,
      budgetMs: 1000,
      step,
      log: silentLogger(),
      stream: streamOf,
    });
  };
}

/** A memory holds, here, what the test has put under the number of its object. */
const memories = new Map<bigint, Uint8Array>();

async function* streamOf(value: Value): AsyncGenerator<Uint8Array> {
  const bytes =
    value.kind?.$case === 'memory'
      ? memories.get(value.kind.value.capability?.object ?? 0n)!
      : toBlob(value).data;
  for (let at = 0; at < bytes.length; at += 1000)
    yield await Promise.resolve(bytes.subarray(at, at + 1000));
}

const WHERE = { client: textValue(CAT.client), name: textValue(CAT.name) };

const FAILURE: Failure = {
  ...{ code: 5, reason: 'FILE_NOT_FOUND', message: 'there is no file', step: 's' },
  ...{ member: 'storage-1', metadata: { a: 'b' }, retryAfterMs: 0 },
};

function toPlainBytes(value: Value): number {
  return (toPlain(value) as { bytes: number }).bytes;
}

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

  test('a file past the inline limit is yielded open, with its hash, and stays what it was', async () => {
    await using fixture = await openStore();
    const content = Buffer.alloc(3500, 'abcdefg');
    const file = await fixture.store.write(CAT, [content]);
    const result = await results(fixture, 1000)('read', WHERE);
    assert.instance(result, KeptResult);
    await using kept = (result as KeptResult).content;
    assert.equal((result as KeptResult).form, bytesValue('text/plain', new Uint8Array()));
    assert.is(kept.sizeBytes, 3500);
    assert.is(Buffer.from(kept.sha256!).toString('hex'), file.sha256);
    assert.is(fixture.store.kept, 1);
    await fixture.store.write(CAT, [Buffer.from('another')]);
    const { signal } = new AbortController();
    const chunks: Uint8Array[] = [];
    for await (const chunk of kept.read({ offset: 7, length: 3000 }, { chunkBytes: 999, signal }))
      chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(content.subarray(7, 3007)));
    assert.ok(chunks.every((chunk) => chunk.length <= 999));
    await kept[Symbol.asyncDispose]();
    assert.is(fixture.store.kept, 0);
  });

  test('files kept open are limited by name of the limit', async () => {
    await using fixture = await openStore({ max_kept_files: 1 });
    await fixture.store.write(CAT, [Buffer.alloc(2000)]);
    const perform = results(fixture);
    await using first = ((await perform('read', WHERE)) as KeptResult).content;
    const error = await rejects(perform('read', WHERE), FractoryError, {
      reason: 'TOO_MANY_KEPT_FILES',
    });
    assert.match(error.message, 'max_kept_files is 1');
    await first[Symbol.asyncDispose]();
    await using second = ((await perform('read', WHERE)) as KeptResult).content;
    assert.is(second.sizeBytes, 2000);
  });

  test('what has to be loaded is refused past its limit, by name of the limit', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    await fixture.store.write(CAT, [Buffer.alloc(2001, '1')]);
    const tooLarge = { reason: 'FILE_TOO_LARGE' };
    const asText = perform('read', { ...WHERE, as: textValue('text') });
    assert.match((await rejects(asText, FractoryError, tooLarge)).message, 'max_text_bytes');
    const proxied = { ...WHERE, proxy: integerValue(1n) };
    assert.is(toPlainBytes(await perform('read', proxied)), 2001);
    await fixture.store.write(CAT, [Buffer.alloc(5001, '1')]);
    const { message } = await rejects(perform('read', proxied), FractoryError, tooLarge);
    assert.match(message, 'max_pulled_bytes');
    await rejects(perform('read', { ...WHERE, proxy: integerValue(2n) }), FractoryError, {
      reason: 'INVALID_ARGUMENT',
    });
  });

  test('a memory is written as a stream, with the media type that it has', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    memories.set(7n, Buffer.alloc(3500, 'x'));
    const capability: Capability = {
      ...{ owner: 'math-1', epoch: 1n, object: 7n, node: 1n, kind: ObjectKind.MEMORY },
      ...{ rights: 2, caveats: [], tag: new Uint8Array() },
    };
    const memory = (form: Value): Value => ({
      kind: {
        $case: 'memory',
        value: { capability, sizeBytes: 3500n, form, sha256: new Uint8Array() },
      },
    });
    const none = new Uint8Array();
    for (const [form, mediaType] of [
      [bytesValue('image/png', none), 'image/png'],
      [textValue(''), 'text/plain'],
      [integerValue(''), 'text/plain'],
    ] as const) {
      await perform('write', { ...WHERE, input: memory(form) });
      assert.is(await readText(fixture.store, CAT), 'x'.repeat(3500));
      assert.is((await fixture.store.stat(CAT)).mediaType, mediaType);
    }
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
      ['f', failureValue(FAILURE), JSON.stringify(FAILURE), 'application/json'],
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

  test("a reserved client's files are neither read, written, deleted nor listed", async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    const reserved = { client: '_runs', name: 'r' };
    await fixture.store.write(reserved, [Buffer.from('x')]);
    await fixture.store.write(CAT, [Buffer.from('x')]);
    const where = { client: textValue('_runs'), name: textValue('r') };
    for (const [name, args] of [
      ['read', where],
      ['write', { ...where, input: textValue('y') }],
      ['delete', where],
      ['list', { client: textValue('_runs') }],
    ] as const)
      await rejects(perform(name, args), FractoryError, { reason: 'RESERVED_CLIENT' });
    const listed = toPlain(await perform('list', {})) as { client: string }[];
    assert.equal(
      listed.map(({ client }) => client),
      [CAT.client],
    );
    assert.is(await readText(fixture.store, reserved), 'x');
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

  test('list yields names as texts, with their client where none was asked for', async () => {
    await using fixture = await openStore();
    const perform = operations(fixture);
    const as = textValue('names');
    assert.equal(await perform('list', { as }), listValue([]));
    for (const name of ['b', 'a', 'c'])
      await fixture.store.write({ client: 'admin', name }, [Buffer.from('x')]);
    const texts = (...names: string[]): Value => listValue(names.map(textValue));
    assert.equal(await perform('list', { as, client: textValue('admin') }), texts('a', 'b', 'c'));
    assert.equal(await perform('list', { as, prefix: textValue('b') }), texts('admin/b'));
    await fixture.store.write({ client: 'admin', name: 'd' }, [Buffer.from('x')]);
    await rejects(perform('list', { as }), FractoryError, { reason: 'LIMIT_EXCEEDED' });
    await rejects(perform('list', { as: textValue('poem') }), FractoryError, {
      reason: 'INVALID_ARGUMENT',
    });
  });
});
