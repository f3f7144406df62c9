import type { MemberTable, MemberView } from './member.js';

/** So many members at most that fit, drawn at random: by a bounded number of draws, as a full look costs more than it is worth in a large cluster. */
export function pickMembers(
  table: MemberTable,
  random: () => number,
  count: number,
  fits: (view: MemberView) => boolean,
): MemberView[] {
  const picked: MemberView[] = [];
  const { size } = table;
  for (let draw = 0; draw < 3 * size && draw < 3 * count + 60 && picked.length < count; draw++) {
    const view = table.at(Math.floor(random() * size));
    if (view && fits(view) && !picked.includes(view)) picked.push(view);
  }
  return picked;
}
