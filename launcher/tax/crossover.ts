import { fasterArm } from './rows.js';
import type { Arm, TaxRow } from './rows.js';
import { formatBytes } from './sizes.js';

/** Sizes next to each other with the same outcome. */
interface Stretch {
  readonly faster: Arm | 'even';
  readonly from: number;
  readonly to: number;
}

const OUTCOMES: Readonly<Record<Stretch['faster'], string>> = {
  star: 'the star is faster',
  ring: 'the ring is faster',
  even: 'the two are even',
};

/** Where the ring wins, in one line, by the rule of FASTER; `rows` are of one graph, ascending. Between sizes nothing was measured, so nothing is claimed. */
export function describeCrossover(rows: readonly TaxRow[]): string {
  const stretches = stretchesOf(rows);
  if (stretches.length === 0) return 'nothing was measured';
  const outcomes = stretches.map(({ faster, from, to }) =>
    from === to
      ? `${OUTCOMES[faster]} at ${formatBytes(from)}`
      : `${OUTCOMES[faster]} from ${formatBytes(from)} to ${formatBytes(to)}`,
  );
  const changes = changesOf(stretches);
  return changes.length === 0
    ? outcomes.join(', ')
    : `${outcomes.join(', ')}; the lead changes ${changes.join(' and ')}`;
}

function stretchesOf(rows: readonly TaxRow[]): Stretch[] {
  const found: Stretch[] = [];
  for (const row of rows) {
    const { payloadBytes: to } = row;
    const faster = fasterArm(row);
    const last = found[found.length - 1];
    if (last?.faster === faster) found[found.length - 1] = { ...last, to };
    else found.push({ faster, from: to, to });
  }
  return found;
}

/** From one arm to the other, whether or not they are even on the way. */
function changesOf(stretches: readonly Stretch[]): string[] {
  const led = stretches.filter(({ faster }) => faster !== 'even');
  return led.flatMap((stretch, index) => {
    const next = led[index + 1];
    if (!next || next.faster === stretch.faster) return [];
    return [`between ${formatBytes(stretch.to)} and ${formatBytes(next.from)}`];
  });
}
