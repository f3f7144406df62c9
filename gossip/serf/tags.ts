import { invalidArgument } from '../../runtime/errors.js';
import { MAX_META_BYTES } from '../wire/limits.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { WireError } from '../wire/wire-error.js';

/** First byte of meta that has tags in it. */
const TAGS = 0xff;
const MAX_TAGS = 15;

export type Tags = Readonly<Record<string, string>>;

/** Tags as Serf puts them into a member's meta. Throws INVALID_ARGUMENT where they are too many or too long. */
export function encodeTags(tags: Tags): Uint8Array {
  const entries = Object.entries(tags);
  if (entries.length > MAX_TAGS)
    throw invalidArgument('tags', `are ${String(entries.length)}, at most ${String(MAX_TAGS)}`);
  const writer = new RawWriter().byte(TAGS).map(entries.length);
  for (const [key, value] of entries) writer.raw(key).raw(value);
  const meta = writer.finish();
  if (meta.length > MAX_META_BYTES) {
    const sizes = `take ${String(meta.length)} bytes, at most ${String(MAX_META_BYTES)}`;
    throw invalidArgument('tags', sizes);
  }
  return meta;
}

/** Tags in a member's meta; what is none is the role of an old member, as Serf has it. */
export function decodeTags(meta: Uint8Array): Tags {
  if (meta.length === 0) return {};
  if (meta[0] !== TAGS) return { role: Buffer.from(meta).toString() };
  try {
    const reader = new RawReader(meta, 1);
    const tags = new Map<string, string>();
    for (let left = reader.mapSize(MAX_META_BYTES); left > 0; left--)
      tags.set(reader.text(MAX_META_BYTES), reader.text(MAX_META_BYTES));
    return Object.fromEntries(tags);
  } catch (error) {
    if (error instanceof WireError) return {};
    throw error;
  }
}
