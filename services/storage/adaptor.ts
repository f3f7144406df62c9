import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { jsonValue, toBlob } from '../../protos/values.js';
import type { ValueKind } from '../../protos/values.js';
import type { Adaptor, ArgumentSpec, Arguments, InvocationContext, Operation } from '../adaptor.js';
import { interpret, readForm, READ_FORMS } from './forms.js';
import type { StorageLimits } from './limits.js';
import { mediaTypeOfName, UNKNOWN_MEDIA_TYPE } from './media-types.js';
import type { FileRef } from './failures.js';
import type { FileStore, StoredFile } from './store.js';

const MAX_VERSION_DIGITS = 20;

export interface StorageAdaptorOptions {
  /** Largest value that travels inside an invocation, bytes: what `storage.read` may yield. */
  readonly inlineLimitBytes: number;
  readonly limits: StorageLimits;
}

const argument = (
  name: string,
  summary: string,
  kinds: readonly ValueKind[],
  required = false,
): ArgumentSpec => ({ name, summary, kinds, required });

const CLIENT = argument('client', 'whose file', ['text'], true);
const NAME = argument('name', 'name of the file', ['text'], true);
const IF_VERSION = argument(
  'if_version',
  'only if the file has this version now; 0 = only if it does not exist',
  ['integer'],
);
const ANY_KIND = ['bytes', 'text', 'integer', 'number', 'tensor', 'list'] as const;

/** The operations of a store. */
export function makeStorageAdaptor(store: FileStore, options: StorageAdaptorOptions): Adaptor {
  const operations = [
    readOperation(store, options),
    writeOperation(store),
    deleteOperation(store),
    listOperation(store, options.limits),
  ];
  return { type: 'storage', operations };
}

function readOperation(store: FileStore, options: StorageAdaptorOptions): Operation {
  const { inlineLimitBytes, limits } = options;
  return {
    spec: {
      name: 'storage.read',
      summary: 'Reads a file and verifies it.',
      arguments: [
        CLIENT,
        NAME,
        argument('as', `what it yields: ${READ_FORMS.join(', ')}; default bytes`, ['text']),
      ],
      output: ['bytes', 'text', 'integer'],
      idempotent: true,
    },
    async perform(args, { signal }) {
      const form = readForm(text(args, 'as'));
      const [most, limit] =
        form === 'json' && limits.max_json_bytes < inlineLimitBytes
          ? [limits.max_json_bytes, 'max_json_bytes']
          : [inlineLimitBytes, 'inline_limit_bytes'];
      const { file, data } = await store.readAll(refOf(args), most, limit, { signal });
      return interpret(form, file, data);
    },
  };
}

function writeOperation(store: FileStore): Operation {
  return {
    spec: {
      name: 'storage.write',
      summary: 'Writes a file, whole or not at all, and yields what was stored.',
      arguments: [
        CLIENT,
        NAME,
        argument('input', 'the content; lists and tensors are written as JSON', ANY_KIND, true),
        IF_VERSION,
        argument('media_type', 'such as image/png; default: told from name and content', ['text']),
      ],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args, { signal, step }) {
      const ref = refOf(args);
      const input = args.get('input');
      if (!input) throw invalidArgument('input', 'is missing');
      const blob = toBlob(input);
      const file = await store.write(ref, [blob.data], {
        signal,
        step,
        ifVersion: versionOf(args),
        mediaType: text(args, 'media_type') ?? mediaTypeFor(ref, input, blob.mediaType),
      });
      const { client, name, version, sizeBytes, sha256 } = file;
      return jsonValue({ client, name, version: Number(version), sizeBytes, sha256 });
    },
  };
}

function deleteOperation(store: FileStore): Operation {
  return {
    spec: {
      name: 'storage.delete',
      summary: 'Deletes a file and yields the version that it had.',
      arguments: [CLIENT, NAME, IF_VERSION],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args, { step }: InvocationContext) {
      const { client, name } = refOf(args);
      const version = await store.delete({ client, name }, { step, ifVersion: versionOf(args) });
      return jsonValue({ client, name, version: Number(version) });
    },
  };
}

function listOperation(store: FileStore, limits: StorageLimits): Operation {
  return {
    spec: {
      name: 'storage.list',
      summary: 'Lists files by client and name.',
      arguments: [
        argument('client', 'whose files; default: of all clients', ['text']),
        argument('prefix', 'only names that start with this', ['text']),
      ],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args, { signal }) {
      const query = { client: text(args, 'client') ?? '', prefix: text(args, 'prefix') ?? '' };
      const most = limits.max_listed_files;
      const files: StoredFile[] = [];
      for (let pageToken = ''; ;) {
        const page = await store.list({ ...query, pageToken, signal });
        files.push(...page.files);
        if (files.length > most) throw tooManyFiles(files.length, most);
        pageToken = page.nextPageToken;
        if (pageToken === '') return jsonValue(files.map(plain));
      }
    },
  };
}

function tooManyFiles(found: number, most: number) {
  return limitExceeded('max_listed_files', found, most, { what: 'the number of files to list' });
}

function plain(file: StoredFile): Record<string, unknown> {
  const { modifiedMs, version, ...facts } = file;
  return { ...facts, version: Number(version), modifiedAt: new Date(modifiedMs).toISOString() };
}

function refOf(args: Arguments): FileRef {
  return { client: text(args, 'client') ?? '', name: text(args, 'name') ?? '' };
}

function text(args: Arguments, name: string): string | undefined {
  const kind = args.get(name)?.kind;
  if (!kind) return undefined;
  if (kind.$case !== 'text') throw invalidArgument(name, `is ${kind.$case}, expected text`);
  return kind.value;
}

function versionOf(args: Arguments): bigint | undefined {
  const kind = args.get('if_version')?.kind;
  if (!kind) return undefined;
  if (kind.$case !== 'integer' || !/^\d+$/.test(kind.value))
    throw invalidArgument('if_version', 'is not a whole number from 0');
  if (kind.value.length > MAX_VERSION_DIGITS)
    throw invalidArgument('if_version', `has more than ${String(MAX_VERSION_DIGITS)} digits`);
  return BigInt(kind.value);
}

/** A specific type that came with the value counts most, then the name; text that says no more than that it is text comes last. */
function mediaTypeFor(ref: FileRef, input: Value, given: string): string | undefined {
  const isSpecific = given !== '' && given !== UNKNOWN_MEDIA_TYPE;
  if (input.kind?.$case === 'bytes' || given !== 'text/plain')
    return isSpecific ? given : undefined;
  return mediaTypeOfName(ref.name) ?? given;
}
