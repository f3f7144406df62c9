import type { MemberView } from '../core/member.js';
import { messageOf } from '../../runtime/errors.js';
import { MOST_KEYS } from '../wire/keyring.js';
import type { Keyring } from '../wire/keyring.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { boolean, bytes, list, record, text } from '../wire/record.js';
import { SerfType } from './message-type.js';
import type { Standing } from './standings.js';
import { decodeTags } from './tags.js';

/** Names of queries that agents answer themselves begin so. */
const INTERNAL = '_serf_';
/** Of why a key was not changed, so that the answer fits into a packet. */
const MOST_WORDS = 512;

/** What a query does with a key. */
export type KeyChange = 'install' | 'use' | 'remove';

/** What answers are made of. */
export interface InternalFacts {
  readonly name: string;
  readonly keyring: Keyring | undefined;
  readonly member: (
    name: string,
  ) => { readonly view: MemberView; readonly standing: Standing } | undefined;
  /** The keys were changed by a query; not, where there is a problem. */
  readonly rekeyed: (how: KeyChange, problem?: string) => void;
}

/**
 * What an agent answers by itself: nothing where the query is a program's, or needs no more than the acknowledgement. Keys (`serf keys`) are changed, and kept where the keyring has a file, before
 * that is answered; what keeps them from it is answered too. Throws a WireError; never rejects.
 */
export function internalAnswer(
  query: string,
  payload: Uint8Array,
  facts: InternalFacts,
): Uint8Array | Promise<Uint8Array> | undefined {
  if (!query.startsWith(INTERNAL)) return undefined;
  switch (query.slice(INTERNAL.length)) {
    case 'conflict':
      return conflictVote(Buffer.from(payload).toString(), facts);
    case 'install-key':
      return changed(payload, facts, 'install', (keyring, key) => keyring.add(key));
    case 'use-key':
      return changed(payload, facts, 'use', (keyring, key) => keyring.use(key));
    case 'remove-key':
      return changed(payload, facts, 'remove', (keyring, key) => keyring.remove(key));
    case 'list-keys':
      return listed(facts.keyring);
    default:
      return undefined;
  }
}

interface KeyAnswer {
  readonly ok: boolean;
  readonly message: string;
  readonly keys: readonly string[];
  readonly primary: string;
}

const keyRequest = record<{ readonly key: Uint8Array }>({ key: ['Key', bytes(32)] });
const keyAnswer = record<KeyAnswer>({
  ...{ ok: ['Result', boolean()], message: ['Message', text(1024)] },
  ...{ keys: ['Keys', list(text(64), MOST_KEYS)], primary: ['PrimaryKey', text(64)] },
});

function changed(
  payload: Uint8Array,
  { keyring, rekeyed }: InternalFacts,
  how: KeyChange,
  change: (keyring: Keyring, key: Uint8Array) => Promise<void>,
): Uint8Array | Promise<Uint8Array> {
  if (!keyring) return answered({ ok: false, message: 'this member has no keyring' });
  if (payload[0] !== SerfType.keyRequest)
    return answered({ ok: false, message: 'the request was not understood' });
  const { key } = keyRequest.read(new RawReader(payload, 1));
  return change(keyring, key).then(
    () => {
      rekeyed(how);
      return answered({ ok: true });
    },
    (error: unknown) => {
      const message = messageOf(error);
      rekeyed(how, message);
      return answered({ ok: false, message: message.slice(0, MOST_WORDS) });
    },
  );
}

function listed(keyring: Keyring | undefined): Uint8Array {
  if (!keyring) return answered({ ok: false, message: 'this member has no keyring' });
  const keys = keyring.keys.map((key) => Buffer.from(key).toString('base64'));
  return answered({ ok: true, keys, primary: keys[0] ?? '' });
}

function answered(given: Partial<KeyAnswer>): Uint8Array {
  const writer = new RawWriter().byte(SerfType.keyResponse);
  keyAnswer.write(writer, { ok: false, message: '', keys: [], primary: '', ...given });
  return writer.finish();
}

/** Go's numbers for the standing of a member. */
const standingNumbers = { alive: 1, leaving: 2, left: 3, failed: 4 } as const;

/** Two members call themselves alike: where we know the name to be. The one who is in it does not vote. */
function conflictVote(name: string, facts: InternalFacts): Uint8Array | undefined {
  const known = name === facts.name ? undefined : facts.member(name);
  if (!known) return undefined;
  const { view, standing } = known;
  const writer = new RawWriter().byte(SerfType.conflictResponse).map(11);
  writer.raw('Name').raw(name).raw('Addr').raw(view.address).raw('Port').uint(view.port);
  const tags = Object.entries(decodeTags(view.meta));
  writer.raw('Tags').map(tags.length);
  for (const [key, value] of tags) writer.raw(key).raw(value);
  writer.raw('Status').uint(standingNumbers[standing]);
  for (const [at, key] of VERSIONS.entries()) writer.raw(key).uint(view.versions[at] ?? 0);
  return writer.finish();
}

const VERSIONS = [
  ...['ProtocolMin', 'ProtocolMax', 'ProtocolCur'],
  ...['DelegateMin', 'DelegateMax', 'DelegateCur'],
];
