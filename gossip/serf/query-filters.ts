import { MAX_NAME_BYTES } from '../wire/limits.js';
import { RawReader } from '../wire/raw-reader.js';
import { list, record, text } from '../wire/record.js';
import type { Tags } from './tags.js';

/** First byte of a filter: one of these names, or a tag that looks like this. */
const FilterType = { names: 0, tag: 1 } as const;
const MAX_NAMES = 65_536;
const MAX_EXPRESSION_BYTES = 256;
const MAX_REPEATS = 2;

const names = list(text(MAX_NAME_BYTES), MAX_NAMES);
const tagFilter = record<{ readonly tag: string; readonly expression: string }>({
  tag: ['Tag', text(512)],
  expression: ['Expr', text(MAX_EXPRESSION_BYTES)],
});

/** Whether a query is for a member with this name and these tags. Throws a WireError. */
export function isFor(filters: readonly Uint8Array[], name: string, tags: Tags): boolean {
  return filters.every((filter) => {
    const reader = new RawReader(filter, 1);
    switch (filter[0]) {
      case FilterType.names:
        return names.read(reader).includes(name);
      case FilterType.tag: {
        const { tag, expression } = tagFilter.read(reader);
        return Object.hasOwn(tags, tag) && looksLike(tags[tag] ?? '', expression);
      }
      default:
        return false;
    }
  });
}

/**
 * Go's expressions take time in proportion to the text, ours may take forever: of a stranger's, only those with at most two repeats and none of a group are tried. Others
 * match nothing, as if the tag were another.
 */
function looksLike(value: string, expression: string): boolean {
  const plain = expression.replaceAll(/\\./g, 'x');
  const repeats = plain.match(/[*+?{]/g)?.length ?? 0;
  if (repeats > MAX_REPEATS || /\)[*+?{]|\(\?/.test(plain)) return false;
  try {
    return new RegExp(expression).test(value);
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
