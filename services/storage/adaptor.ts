import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import {
  bytesValue,
  JSON_MEDIA_TYPE,
  jsonValue,
  listValue,
  textValue,
} from '../../protos/values.js';
import type { ValueKind } from '../../protos/values.js';
import type {
  Adaptor,
  ArgumentSpec,
  Arguments,
  InvocationContext,
  Operation,
  OperationResult,
} from '../adaptor.js';
import { KeptResult } from '../content.js';
import { refuseReserved } from './checks.js';
import type { ContentSource } from './depot.js';
import { interpret, readForm, READ_FORMS } from './forms.js';
import type { ReadForm } from './forms.js';
import type { StorageLimits } from './limits.js';
import { mediaTypeOfName, UNKNOWN_MEDIA_TYPE } from './media-types.js';
import { nameOf } from './failures.js';
import type { FileRef } from './failures.js';
import type { NameQuery } from './listing.js';
import type { FileStore } from './store.js';
import type { StoredFile } from './stored-file.js';

const MAX_VERSION_DIGITS = 20;

export interface StorageAdaptorOptions {
  /** Largest value that travels inside an invocation, bytes; above, `storage.read` yields the open file. */
  readonly inlineLimitBytes: number;
  /** Largest file that is loaded for a reader (`proxy`); the kernel's limit `max_pulled_bytes`. */
  readonly maxLoadedBytes: number;
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
const ANY_KIND = ['bytes', 'text', 'integer', 'number', 'tensor', 'list', 'failure'] as const;
const LIST_FORMS = ['json', 'names'] as const;

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
  return {
    spec: {
      name: 'storage.read',
      summary: 'Reads a file; its content is verified by whoever reads it to the end.',
      arguments: [
        CLIENT,
        NAME,
        argument('as', `what it yields: ${READ_FORMS.join(', ')}; default bytes`, ['text']),
        argument(
          'proxy',
          '1 = this node fetches the content and serves it itself, wherever it lies; for comparison',
          ['integer'],
        ),
      ],
      output: ['bytes', 'text', 'integer'],
      idempotent: true,
    },
    async perform(args, context) {
      const form = readForm(text(args, 'as'));
      const { signal } = context;
      if (form === 'bytes' && !isProxy(args)) return share(store, refOf(args), context, options);
      const [most, limit] = loadLimit(form, options);
      const { file, data } = await store.readAll(refOf(args), most, limit, { signal });
      return interpret(form, file, data);
    },
  };
}

/** Nothing is loaded that is too large to travel, and nothing at all that lies elsewhere. */
async function share(
  store: FileStore,
  ref: FileRef,
  context: InvocationContext,
  { inlineLimitBytes }: StorageAdaptorOptions,
): Promise<OperationResult> {
  const { signal } = context;
  const untilMs = context.expiresAtMs ?? Date.now() + context.budgetMs;
  const shared = await store.share(ref, untilMs, { signal });
  if (shared.kind === 'memory') return { kind: { $case: 'memory', value: shared.memory } };
  const { file, content } = shared;
  if (file.sizeBytes > inlineLimitBytes)
    return new KeptResult(content, bytesValue(file.mediaType, new Uint8Array()));
  await using owned = content;
  return bytesValue(file.mediaType, await owned.whole(signal));
}

/** What is interpreted has to be loaded. */
function loadLimit(form: ReadForm, options: StorageAdaptorOptions): [number, string] {
  const { limits, maxLoadedBytes } = options;
  if (form === 'bytes') return [maxLoadedBytes, 'max_pulled_bytes'];
  return form === 'json'
    ? [limits.max_json_bytes, 'max_json_bytes']
    : [limits.max_text_bytes, 'max_text_bytes'];
}

function isProxy(args: Arguments): boolean {
  const kind = args.get('proxy')?.kind;
  if (!kind) return false;
  if (kind.$case !== 'integer' || (kind.value !== '0' && kind.value !== '1'))
    throw invalidArgument('proxy', 'is neither 0 nor 1');
  return kind.value === '1';
}

function writeOperation(store: FileStore): Operation {
  return {
    spec: {
      name: 'storage.write',
      summary: 'Writes a file, whole or not at all, and yields what was stored.',
      arguments: [
        CLIENT,
        NAME,
        {
          ...argument(
            'input',
            'the content; lists, tensors and failures are written as JSON',
            ANY_KIND,
            true,
          ),
          streamed: true,
        },
        IF_VERSION,
        argument('media_type', 'such as image/png; default: told from name and content', ['text']),
      ],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args, context) {
      const ref = refOf(args);
      const input = args.get('input');
      if (!input) throw invalidArgument('input', 'is missing');
      const { signal, step } = context;
      const file = await store.write(ref, sourceOf(input, context), {
        signal,
        step,
        ifVersion: versionOf(args),
        mediaType: text(args, 'media_type') ?? mediaTypeFor(ref, input),
      });
      const { client, name, version, sizeBytes, sha256 } = file;
      return jsonValue({ client, name, version: Number(version), sizeBytes, sha256 });
    },
  };
}

/** A memory here is of bytes, text or an integer: its content is what is written. */
function sourceOf(input: Value, context: InvocationContext): ContentSource {
  const { kind } = input;
  if (kind?.$case === 'memory') return { memory: kind.value, stream: () => context.stream(input) };
  return context.stream(input);
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
        argument(
          'as',
          'json = an array of what is known of each (default); names = a list of texts: NAME with a client, else CLIENT/NAME',
          ['text'],
        ),
      ],
      output: ['bytes', 'list'],
      idempotent: true,
    },
    async perform(args, { signal }) {
      const query = { client: text(args, 'client') ?? '', prefix: text(args, 'prefix') ?? '' };
      refuseReserved(query.client);
      if (listForm(text(args, 'as')) === 'names') return names(store, query, limits);
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

function listForm(word = 'json'): (typeof LIST_FORMS)[number] {
  const form = LIST_FORMS.find((one) => one === word);
  if (form) return form;
  throw invalidArgument('as', `is ${JSON.stringify(word)}, expected ${LIST_FORMS.join(', ')}`);
}

async function names(store: FileStore, query: NameQuery, limits: StorageLimits): Promise<Value> {
  const most = limits.max_listed_files;
  const refs = await store.names(query, most);
  if (refs.length > most) throw tooManyFiles(refs.length, most);
  return listValue(refs.map((ref) => textValue(query.client ? ref.name : nameOf(ref))));
}

function tooManyFiles(found: number, most: number) {
  return limitExceeded('max_listed_files', found, most, { what: 'the number of files to list' });
}

function plain(file: StoredFile): Record<string, unknown> {
  const { modifiedMs, version, ...facts } = file;
  return { ...facts, version: Number(version), modifiedAt: new Date(modifiedMs).toISOString() };
}

function refOf(args: Arguments): FileRef {
  const client = text(args, 'client') ?? '';
  refuseReserved(client);
  return { client, name: text(args, 'name') ?? '' };
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
function mediaTypeFor(ref: FileRef, input: Value): string | undefined {
  const form = input.kind?.$case === 'memory' ? input.kind.value.form : input;
  switch (form?.kind?.$case) {
    case 'bytes': {
      const { mediaType: given } = form.kind.value;
      return given !== '' && given !== UNKNOWN_MEDIA_TYPE ? given : undefined;
    }
    case 'text':
    case 'integer':
    case 'number':
      return mediaTypeOfName(ref.name) ?? 'text/plain';
    default:
      return JSON_MEDIA_TYPE;
  }
}
