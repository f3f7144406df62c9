import { sleep } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import type { Random } from '../../runtime/seeded-random.js';
import type { Laboratory } from './laboratory.js';
import { chooseMove } from './monkey-choice.js';
import type { Jungle, MonkeyMove, MonkeyRules } from './monkey-choice.js';
import { findProcess } from './process-table.js';
import { serverNames } from './session.js';
import type { ChaosSession } from './session.js';
import { memberTarget, ZOOKEEPER } from './targets.js';
import type { Target } from './targets.js';

export interface MonkeyOptions extends MonkeyRules {
  readonly forMs: number;
  readonly everyMs: number;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onMove: (move: MonkeyMove, leftMs: number) => void;
}

/** Does a random fault every so often, each with its heal, until the time is over; all are healed when it resolves. Rejects with the first failure of this program itself. */
export async function runMonkey(
  session: ChaosSession,
  laboratory: Laboratory,
  options: MonkeyOptions,
): Promise<void> {
  const { everyMs, forMs, random, signal, onMove } = options;
  const { experiment } = laboratory;
  const untilMs = experiment.now() + forMs;
  const healing = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (let next = experiment.now(); next < untilMs && failures.length === 0; next += everyMs) {
    await sleep(Math.max(0, next - experiment.now()), signal);
    const move = chooseMove(random, options, await jungleOf(session, laboratory));
    if (!move) continue;
    onMove(move, untilMs - next);
    const healed = oneMove(laboratory, move, untilMs, signal)
      .catch((error: unknown) => {
        failures.push(error);
      })
      .finally(() => healing.delete(healed));
    healing.add(healed);
  }
  await Promise.all(healing);
  if (failures.length > 0) throw failures[0];
}

/** A member that isn't there any more can't be hit: that is no reason to stop. */
async function oneMove(
  { experiment, faults }: Laboratory,
  { plan, target, forMs }: MonkeyMove,
  untilMs: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    const fault = await faults.begin(plan, target);
    if (forMs === undefined) return;
    await sleep(Math.max(0, Math.min(forMs, untilMs - experiment.now())), signal);
    await faults.heal(fault);
  } catch (error) {
    if (!(error instanceof FractoryError) || signal.aborted) throw error;
    experiment.record({ event: 'note', text: `${plan.kind} ${target.name}: ${error.message}` });
  }
}

async function jungleOf(session: ChaosSession, { faults }: Laboratory): Promise<Jungle> {
  const { coordinator, statePath } = session;
  const members = coordinator.members();
  const servers = await Promise.all(
    serverNames(session).map(async (name) => ({
      name,
      runs: (await findProcess(statePath, name)) !== undefined,
    })),
  );
  const standing = new Set(faults.standing.map(({ target }) => target.name));
  const targets: Target[] = [
    ...members.map((member) => memberTarget(member, members)),
    ...servers.map(({ name }) => ({ name, type: ZOOKEEPER, leader: false })),
  ];
  targets.sort((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }));
  const down = servers.filter(({ name, runs }) => !runs || standing.has(name));
  return {
    ...{ targets, busy: standing },
    ...{ servers: servers.length, serversDown: down.length },
  };
}
