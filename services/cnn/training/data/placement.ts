/** What the folders of a picture say of it. */
export type Placement =
  | { readonly label: string; readonly side: Side | 'open' }
  /** Why it is not used. */
  | { readonly problem: string };

export type Side = 'training' | 'validation';

const SIDES: ReadonlyMap<string, Side | 'test'> = new Map([
  ['train', 'training'],
  ['training', 'training'],
  ['validation', 'validation'],
  ['valid', 'validation'],
  ['val', 'validation'],
  ['test', 'test'],
]);
const MAX_LABEL_CHARACTERS = 200;
/** Names of files are kept until all of them are known. */
const MAX_PATH_CHARACTERS = 1000;
const MAX_SHOWN_CHARACTERS = 200;

/**
 * The class of a picture is the name of its parent folder. A folder further up that is called `train` or `validation` (or `training`, `valid`,
 * `val`) gives its side; what lies in `test` is left alone, so that somebody can ask about it later.
 */
export function placementOf(path: string): Placement {
  if (path.length > MAX_PATH_CHARACTERS)
    return { problem: `has a name longer than ${String(MAX_PATH_CHARACTERS)} characters` };
  const folders = path.split('/').filter((part) => part !== '' && part !== '.');
  folders.pop();
  const label = folders.pop();
  if (label === undefined) return { problem: 'is in no folder: its folder names its class' };
  if (label === '..' || folders.includes('..')) return { problem: 'has .. in its path' };
  if (label.length > MAX_LABEL_CHARACTERS)
    return { problem: `is in a folder whose name is longer than ${String(MAX_LABEL_CHARACTERS)}` };
  if (shortened(label) !== label)
    return { problem: 'is in a folder with control characters in its name' };
  const side = folders.map((name) => SIDES.get(name.toLowerCase())).find((found) => found);
  if (side === 'test') return { problem: 'is in a folder test: kept apart' };
  return { label, side: side ?? 'open' };
}

/** A name of somebody else's as it may be shown: a terminal obeys control characters. */
export function shortened(name: string): string {
  const clean = name.slice(0, MAX_SHOWN_CHARACTERS).replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?');
  return name.length > MAX_SHOWN_CHARACTERS ? `${clean}...` : clean;
}
