import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { formatDuration } from '../chaos/duration.js';
import { allWell, populationOf, resolveTargets, withChaos } from '../chaos/session.js';
import type { ChaosSession } from '../chaos/session.js';
import type { CommandContext } from '../command-context.js';

/** How long everybody may take to be well again, ms. */
const RECOVERY_MS = 30_000;

/** Something that was undone. */
interface Healed {
  readonly member: string;
  readonly fault: string;
}

/** Lets paused members go on, and waits until all is well. */
export async function resumeMembers(
  context: CommandContext,
  words: readonly string[],
  json: boolean,
): Promise<void> {
  await withChaos(context, async (session) => {
    const targets = await resolveTargets(session, words);
    const startMs = performance.now();
    for (const { name } of targets) await session.processes.resume(name);
    const healed = targets.map(({ name }) => ({ member: name, fault: 'pause' }));
    await tell(context, session, { healed, startMs, json });
  });
}

/** Undoes whatever was done to these members (default: all), by whomever, and waits until all is well. */
export async function healMembers(
  context: CommandContext,
  words: readonly string[],
  json: boolean,
): Promise<void> {
  await withChaos(context, async (session) => {
    const names =
      words.length > 0
        ? (await resolveTargets(session, words)).map(({ name }) => name)
        : namesOf(session);
    const startMs = performance.now();
    const healed: Healed[] = [];
    for (const member of names)
      for (const fault of await session.processes.heal(member)) healed.push({ member, fault });
    healed.push(...(await healLinks(session, words.length > 0 ? names : undefined)));
    await tell(context, session, { healed, startMs, json });
  });
}

function namesOf(session: ChaosSession): string[] {
  const { members, processes } = populationOf(session);
  return [...new Set([...members.map(({ id }) => id), ...processes.map(({ name }) => name)])];
}

/** Where there are no links of their own there is nothing to heal. */
async function healLinks(
  session: ChaosSession,
  names: readonly string[] | undefined,
): Promise<Healed[]> {
  try {
    const over = await (await session.links()).heal(names);
    return over.flatMap((fault) =>
      fault.kind === 'slow'
        ? [{ member: fault.member, fault: 'slow' }]
        : fault.members.map((member) => ({ member, fault: 'partition' })),
    );
  } catch (error) {
    if (error instanceof FractoryError && error.reason === 'NO_NAMESPACES') return [];
    throw error;
  }
}

async function tell(
  { terminal, interruption }: CommandContext,
  session: ChaosSession,
  { healed, startMs, json }: { healed: readonly Healed[]; startMs: number; json: boolean },
): Promise<void> {
  const isWell = await allWell(session, RECOVERY_MS, interruption.signal);
  const tookMs = Math.round(performance.now() - startMs);
  if (json) terminal.printJson({ healed, wellAfterMs: isWell ? tookMs : null });
  else {
    for (const { member, fault } of healed) terminal.print(`${member}: ${fault} is over`);
    if (healed.length === 0) terminal.note('nothing was to be healed');
    if (isWell) terminal.note(`all members serve after ${formatDuration(tookMs)}`);
  }
  if (isWell) return;
  throw new FractoryError(
    status.DEADLINE_EXCEEDED,
    'NOT_WELL',
    `not all members serve after ${formatDuration(RECOVERY_MS)}; ./datacenter status shows which`,
  );
}
