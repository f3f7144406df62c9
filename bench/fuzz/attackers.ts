import { seededRandom } from '../../runtime/seeded-random.js';
import type { Target } from './fuzzed-data-center.js';
import type { Case } from './findings.js';
import { HTTP2_ATTACKS } from './http2-attacks.js';
import type { Attack } from './http2-attacks.js';
import { oneOf } from './hostile-values.js';
import { RawSession } from './raw-call.js';
import type { CallStep, Outcome } from './raw-call.js';
import { rpcCase } from './rpc-case.js';
import type { Subject } from './rpc-case.js';
import { BULK_ATTACKS, METRICS_ATTACKS } from './socket-attacks.js';
import { faultOf } from './verdict.js';

/** What came of a case. */
export interface Attempt {
  readonly what: Case;
  readonly outcome?: Outcome;
  readonly fault?: string;
}

const MOST_SHOWN = 4096;
/** So that what is drawn for the target has nothing to do with what is drawn for the case. */
const TARGET_SALT = 0x51ed270b;

/** Makes calls that mean ill, each from its own seed. Owns one connection to each process. */
export class Callers implements Disposable {
  readonly #subjects: readonly Subject[];
  readonly #folders: readonly string[];
  readonly #sessions = new Map<string, RawSession>();

  /** `folders`: those that no caller may hear of. */
  constructor(subjects: readonly Subject[], folders: readonly string[]) {
    this.#subjects = subjects;
    this.#folders = folders;
  }

  async call(seed: number): Promise<Attempt> {
    const subject = oneOf(seededRandom(seed ^ TARGET_SALT), this.#subjects);
    const { id, address } = subject.target;
    const one = rpcCase(seed, subject);
    const session = this.#sessions.get(id) ?? new RawSession(address);
    this.#sessions.set(id, session);
    const outcome = await session.call(one.path, one.script);
    const fault = faultOf(one, outcome, this.#folders);
    const what: Case = {
      ...{ lane: 'call', seed, target: id, name: one.path, manner: one.what },
      sent: one.script.steps.map(shown),
    };
    return { what, outcome, ...(fault !== undefined && { fault: `${id}: ${fault}` }) };
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions.values()) session[Symbol.dispose]();
  }
}

function shown(step: CallStep): string {
  const bytes = 'message' in step ? step.message : 'bytes' in step ? step.bytes : undefined;
  if (!bytes) return JSON.stringify(step);
  const more = bytes.length > MOST_SHOWN ? `... ${String(bytes.length)} bytes` : '';
  return Buffer.from(bytes).subarray(0, MOST_SHOWN).toString('base64') + more;
}

/** Which attacks there are on a process: on its gRPC port, its data path and its metrics. */
function attacksOn(target: Target): readonly { name: string; attack: Attack; address: string }[] {
  const all = (attacks: Readonly<Record<string, Attack>>, address: string | undefined) =>
    address === undefined
      ? []
      : Object.entries(attacks).map(([name, attack]) => ({ name, attack, address }));
  return [
    ...all(HTTP2_ATTACKS, target.address),
    ...all(BULK_ATTACKS, target.dataAddress),
    ...all(METRICS_ATTACKS, target.metricsAddress),
  ];
}

/** Attacks a connection of one process, as the seed wants it. Resolves with what it did. */
export async function attack(
  seed: number,
  subjects: readonly Subject[],
  forMs: number,
): Promise<Case> {
  const random = seededRandom(seed);
  const { target, methods } = oneOf(random, subjects);
  const { name, attack: begin, address } = oneOf(random, attacksOn(target));
  const paths = methods.map(({ path }) => path).filter((path) => !path.endsWith('/Drain'));
  await begin({ address, random, paths, forMs });
  return { lane: 'attack', seed, target: target.id, name };
}
