import { status } from '@grpc/grpc-js';

import { sleep } from '../../runtime/deadline.js';
import { messageOf } from '../../runtime/errors.js';
import { attack, Callers } from './attackers.js';
import { Findings } from './findings.js';
import type { Case, Finding } from './findings.js';
import type { FuzzedDataCenter } from './fuzzed-data-center.js';
import { COORDINATOR } from './fuzzed-data-center.js';
import { GoodProcess } from './good-process.js';
import type { Service } from './good-clients.js';
import type { Subject } from './rpc-case.js';
import { idleConnections } from './socket-flood.js';
import { subjectsOf } from './subjects.js';
import { growth, vitalsOf } from './vitals.js';
import type { Vitals } from './vitals.js';

export interface CampaignOptions {
  readonly seed: number;
  /** How long it attacks, rests not included, ms. */
  readonly forMs: number;
  /** Attacks are followed by a rest so many times; what is held at the first is what the others are compared with. */
  readonly rounds: number;
  /** Longest rest, ms. */
  readonly restMs: number;
  /** Callers at a time. */
  readonly callers: number;
  /** How long one attack on a connection goes on, ms. */
  readonly attackMs: number;
  /** How many connections at once that do nothing. */
  readonly connections: number;
  readonly say: (line: string) => void;
}

export interface CampaignReport {
  readonly seed: number;
  readonly attackedMs: number;
  readonly methods: number;
  readonly calls: number;
  /** Calls by how they ended. */
  readonly endings: Readonly<Record<string, number>>;
  /** Attacks on connections by name. */
  readonly attacks: Readonly<Record<string, number>>;
  /** Of so many connections at once to one process, how many it kept. */
  readonly idle: readonly {
    readonly target: string;
    readonly opened: number;
    readonly kept: number;
  }[];
  readonly services: readonly Service[];
  /** What each process held before, and at each rest. */
  readonly vitals: readonly (readonly Vitals[])[];
  readonly findings: readonly Finding[];
}

/** Attacks a data center for a time, and watches it and those who mean well meanwhile. */
export class Campaign {
  readonly #center: FuzzedDataCenter;
  readonly #options: CampaignOptions;
  readonly #findings = new Findings();
  readonly #endings: Record<string, number> = {};
  readonly #attacks: Record<string, number> = {};
  readonly #idle: { target: string; opened: number; kept: number }[] = [];
  #calls = 0;
  #attackCount = 0;
  /** The attack on a connection that was done last. */
  #latest: Case | undefined;

  constructor(center: FuzzedDataCenter, options: CampaignOptions) {
    this.#center = center;
    this.#options = options;
  }

  async run(): Promise<CampaignReport> {
    const { seed, forMs, rounds } = this.#options;
    const subjects = await subjectsOf(this.#center);
    await using good = new GoodProcess(this.#center.targets.filter(({ id }) => id !== COORDINATOR));
    const vitals: (readonly Vitals[])[] = [await this.#vitals()];
    for (let round = 0; round < rounds && this.#center.troubles().length === 0; round++) {
      await this.#attackFor(forMs / rounds, round, subjects);
      vitals.push(await this.#rest(vitals[1]));
      this.#say(round, vitals);
    }
    const services = await good.services();
    await this.#judge(services, vitals);
    return {
      ...{ seed, attackedMs: forMs, calls: this.#calls, endings: this.#endings },
      methods: new Set(subjects.flatMap(({ methods }) => methods.map(({ path }) => path))).size,
      ...{ attacks: this.#attacks, idle: this.#idle, services, vitals },
      findings: this.#findings.all,
    };
  }

  /** Case `number` of the campaign has this seed. */
  #seedOf(number: number, lane: number): number {
    return (Math.imul(this.#options.seed ^ lane, 0x9e3779b1) + Math.imul(number, 0x85ebca6b)) >>> 0;
  }

  async #attackFor(forMs: number, round: number, subjects: readonly Subject[]): Promise<void> {
    const untilMs = performance.now() + forMs;
    const goesOn = (): boolean =>
      performance.now() < untilMs && this.#center.troubles().length === 0;
    const callers = Array.from({ length: this.#options.callers }, () =>
      this.#call(subjects, goesOn),
    );
    await Promise.all([...callers, this.#storm(subjects, round, goesOn)]);
  }

  async #call(subjects: readonly Subject[], goesOn: () => boolean): Promise<void> {
    using callers = new Callers(subjects, this.#center.folders);
    while (goesOn()) {
      const { what, outcome, fault } = await callers.call(this.#seedOf(this.#calls++, 1));
      const code = outcome?.code;
      const ending = code === undefined ? 'without a status' : (status[code] ?? String(code));
      this.#endings[ending] = (this.#endings[ending] ?? 0) + 1;
      if (fault !== undefined && this.#findings.add(fault, what))
        this.#options.say(`found: ${fault} (seed ${String(what.seed)})`);
    }
  }

  /** Connections that do nothing, in the first round to everybody; then one attack on a connection after the other. */
  async #storm(subjects: readonly Subject[], round: number, goesOn: () => boolean): Promise<void> {
    const { connections, attackMs } = this.#options;
    const { targets } = this.#center;
    const chosen = round === 0 ? targets : [targets[round % targets.length]!];
    for (const target of chosen) {
      const kept = await idleConnections(target.address, connections, attackMs);
      this.#idle.push({ target: target.id, opened: connections, kept });
    }
    while (goesOn()) {
      const what = await attack(this.#seedOf(this.#attackCount++, 2), subjects, attackMs);
      this.#attacks[what.name] = (this.#attacks[what.name] ?? 0) + 1;
      this.#latest = what;
    }
  }

  /** Waits until everything is as at the first rest, or for the longest time. */
  async #rest(first: readonly Vitals[] | undefined): Promise<readonly Vitals[]> {
    const { restMs } = this.#options;
    const untilMs = performance.now() + restMs;
    await sleep(first ? restMs / 2 : restMs);
    for (;;) {
      const now = await this.#vitals();
      const isOver = performance.now() >= untilMs;
      if (isOver || (first && grown(first, now).length === 0)) return now;
      await sleep(500);
    }
  }

  async #vitals(): Promise<Vitals[]> {
    await this.#center.collect();
    return Promise.all(this.#center.targets.map(vitalsOf));
  }

  async #judge(
    services: readonly Service[],
    vitals: readonly (readonly Vitals[])[],
  ): Promise<void> {
    for (const { id, failed, calls, failures } of services)
      if (failed > 0)
        this.#findings.add(
          `${id} failed ${String(failed)} of ${String(calls)} calls of those who mean well: ${failures.join('; ')}`,
        );
    for (const trouble of this.#center.troubles()) this.#findings.add(trouble, this.#latest);
    const [first, last] = [vitals[1], vitals.at(-1)];
    if (first && last) for (const fault of grown(first, last)) this.#findings.add(fault);
    for (const { id } of this.#center.targets) {
      const lastWords = this.#center.lastWordsOf(id);
      if (lastWords !== '') this.#findings.add(`${id} said at its end: ${lastWords}`);
      const errors = await this.#center.errorsOf(id).catch((error: unknown) => [messageOf(error)]);
      if (errors.length > 0)
        this.#findings.add(`${id} logged errors: ${errors.slice(0, 8).join('\n')}`);
    }
  }

  #say(round: number, vitals: readonly (readonly Vitals[])[]): void {
    const now = vitals.at(-1) ?? [];
    const held = now.map(({ id, residentBytes, descriptors }) =>
      [id, (residentBytes / 1024 ** 2).toFixed(0), 'MiB', descriptors, 'fds'].join(' '),
    );
    this.#options.say(
      `round ${String(round + 1)} of ${String(this.#options.rounds)}: ${String(this.#calls)} calls, ${String(this.#attackCount)} attacks; ${held.join(', ')}`,
    );
  }
}

function grown(before: readonly Vitals[], after: readonly Vitals[]): string[] {
  return after.flatMap((now) => {
    const then = before.find(({ id }) => id === now.id);
    return then ? growth(then, now) : [];
  });
}
