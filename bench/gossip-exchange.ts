import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { encodingState } from '../gossip/serf/state.js';
import { encodeTags } from '../gossip/serf/tags.js';
import { Keyring } from '../gossip/wire/keyring.js';
import { encodeHeader, encodeMember } from '../gossip/wire/push-pull.js';
import { RawWriter } from '../gossip/wire/raw-writer.js';
import { sealStream } from '../gossip/wire/stream.js';
import type { ExchangeRow, ExchangeTask } from './gossip-exchange-process.js';
import type { Turn } from './event-loop-turns.js';
import { askedOf, parsedFlags, wholeOf } from './flags.js';
import { median } from './statistics.js';

/**
 * How long an exchange of many members holds the event loop at a time: of the one who joins and hears all for the first time, and of both sides in one process. Each round is a
 * process of its own: its first exchange is that of a process that has just begun, in which no code is compiled; then come warm ones. Of a turn
 * stands what the thread computed in it, its share of collecting garbage included, and how long it lasted, with what it waited for processors that others had and for those that
 * collect garbage with it: on a machine that others use too, only the former tells the work from the waiting.
 */
const HELP = `How long an exchange of many members holds the event loop at a time.

  node dist/bench/gossip-exchange.js [MEMBERS] [PROCESSES]      default 10000 5`;
const [MEMBERS, PROCESSES] = askedOf(HELP, (argv) => {
  const [members, processes] = parsedFlags(argv, {}, true).positionals;
  return [
    wholeOf('MEMBERS', members, [1, 1_000_000], 10_000),
    wholeOf('PROCESSES', processes, [1, 1000], 5),
  ] as const;
});
const WARM_ROUNDS = 3;
const MOST_MS = 5;

const arms = [
  { arm: 'no key', key: undefined, serf: false },
  { arm: 'key', key: randomBytes(32), serf: false },
  { arm: "key, Serf's state", key: randomBytes(32), serf: true },
] as const;

/** All that is taken of a generator. */
function finished<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** All members, as one who knows them says it. */
function everybody({ key, serf }: (typeof arms)[number]): Uint8Array {
  const names = Array.from({ length: MEMBERS }, () => `edge-${randomBytes(5).toString('hex')}`);
  const statusTimes = new Map(names.map((name, at) => [name, at % 50]));
  const state = { time: 60, statusTimes, left: [], eventTime: 1, events: [], queryTime: 1 };
  const userState = serf
    ? finished(encodingState({ ...state, ours: new Uint8Array() }))
    : new Uint8Array();
  const writer = new RawWriter().byte(6);
  const userStateBytes = userState.length;
  writer.bytes(encodeHeader({ members: MEMBERS, userStateBytes, join: true }));
  for (const [at, name] of names.entries())
    writer.bytes(
      encodeMember({
        ...{ name, incarnation: 1 + (at % 7) },
        ...{ address: Uint8Array.of(127, 1, at >> 8, at & 255), port: 7946, state: 'alive' },
        meta: encodeTags({
          id: String(at),
          type: 'edge',
          zone: `z${String(at % 9)}`,
          role: 'cache',
        }),
        versions: Uint8Array.of(1, 5, 2, ...(serf ? [2, 5, 5] : [0, 0, 0])),
      }),
    );
  const keyring = key && new Keyring([key]);
  const wire = { label: new Uint8Array(), keyring, verifyIncoming: true, compress: true };
  return finished(sealStream(writer.bytes(userState).finish(), wire, true));
}

const script = fileURLToPath(new URL('./gossip-exchange-process.js', import.meta.url));

async function inProcess(task: ExchangeTask): Promise<ExchangeRow[]> {
  const child = fork(script, { serialization: 'advanced' });
  const rows: ExchangeRow[] = [];
  child.on('message', (some: ExchangeRow[]) => rows.push(...some));
  child.send(task);
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`the process ended with ${String(code)}`);
  return rows;
}

const found: (ExchangeRow & { readonly arm: string })[] = [];
const tasks = arms.map((one) => ({ ...one, frame: everybody(one) }));
for (let at = 0; at < PROCESSES; at++)
  for (const { arm, ...task } of tasks) {
    const rows = await inProcess({ ...task, members: MEMBERS, rounds: 1 + WARM_ROUNDS });
    found.push(...rows.map((row) => ({ ...row, arm })));
  }

function cells(rows: readonly ExchangeRow[]): string[] {
  const longest = (of: (turn: Turn) => number): string => {
    const all = rows.map(({ turns }) => Math.max(0, ...turns.map(of)));
    return `${median(all).toFixed(1)} (${Math.max(...all).toFixed(1)})`;
  };
  const turns = rows.flatMap((row) => row.turns);
  const above = (of: (turn: Turn) => number): string =>
    String(turns.filter((turn) => of(turn) > MOST_MS).length);
  const ranMs = (turn: Turn): number => turn.ranMs;
  const lastedMs = (turn: Turn): number => turn.lastedMs;
  return [
    longest(ranMs),
    longest((turn) => turn.collectedMs),
    longest(lastedMs),
    `${above(ranMs)}, ${above(lastedMs)} of ${String(turns.length)}`,
    median(rows.map((row) => row.collectedMs)).toFixed(0),
    median(rows.map(({ tookMs }) => tookMs)).toFixed(0),
  ];
}

const header = [
  ...['with', 'side', 'process', 'longest turn: computed, ms', 'collected garbage, ms'],
  ...['lasted, ms', `above ${String(MOST_MS)} ms: computed, lasted`, 'all garbage, ms'],
  'whole exchange, ms',
];
const table = [header, header.map(() => '---')];
for (const { arm } of arms)
  for (const side of new Set(found.map((row) => row.side)))
    for (const isCold of [true, false]) {
      const rows = found.filter(
        (row) => row.arm === arm && row.side === side && (row.round === 1) === isCold,
      );
      table.push([arm, side, isCold ? 'cold' : 'warm', ...cells(rows)]);
    }
console.log(`Median (most) of ${String(PROCESSES)} processes, ${String(MEMBERS)} members:\n`);
console.log(table.map((row) => `| ${row.join(' | ')} |`).join('\n'));
