import { invalidArgument } from '../../runtime/errors.js';
import type { Began, ChaosEvent } from './events.js';
import { bookOf } from './measures.js';
import type { Failover, FaultMeasure, MeasureBook, RunTally } from './measures.js';

/** What `chaos monkey --json` ends with. */
export interface MonkeySummary extends RunTally {
  readonly failoverMs: Failover;
}

export function monkeySummary(book: MeasureBook): MonkeySummary {
  const { runs, succeeded, failed, lost, doubled, wrong, ...more } = book.tally();
  return { runs, succeeded, failed, lost, doubled, wrong, failoverMs: book.failover(), ...more };
}

/** What `chaos report --json` prints. */
export interface ChaosReport {
  readonly experiment: string;
  readonly command: string;
  readonly startedAt: string;
  readonly dataCenter: string;
  readonly coordinator: string;
  readonly sessionTimeoutMs: number;
  readonly seed?: number;
  readonly durationMs: number;
  /** False: it was interrupted before everything was checked. */
  readonly complete: boolean;
  readonly faults: readonly FaultMeasure[];
  readonly runs: RunTally;
  readonly failoverMs: Failover;
  /** What was wrong with which run. */
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

export interface Finding {
  readonly run: string;
  readonly outcome: 'lost' | 'doubled' | 'wrong';
  readonly detail: string;
}

export function chaosReport(events: readonly ChaosEvent[]): ChaosReport {
  const { experiment, command, startedAt, dataCenter, ...rest } = beganOf(events);
  const { coordinator, sessionTimeoutMs, seed } = rest;
  const book = bookOf(events);
  return {
    ...{ experiment, command, startedAt, dataCenter, coordinator, sessionTimeoutMs },
    ...(seed !== undefined && { seed }),
    durationMs: durationOf(events),
    complete: events.some(({ event }) => event === 'ended'),
    ...{ faults: book.faults(), runs: book.tally(), failoverMs: book.failover() },
    findings: events.flatMap(findingOf),
    notes: events.flatMap((event) => (event.event === 'note' ? [event.text] : [])),
  };
}

/** The first event of an experiment. */
export function beganOf(events: readonly ChaosEvent[]): Began {
  const [first] = events;
  if (first?.event === 'began') return first;
  throw invalidArgument('experiment', 'does not say how it began', 'EXPERIMENT_DAMAGED');
}

export function durationOf(events: readonly ChaosEvent[]): number {
  return events.reduce((last, event) => ('atMs' in event ? Math.max(last, event.atMs) : last), 0);
}

function findingOf(event: ChaosEvent): Finding[] {
  if (event.event === 'found') {
    const { run, outcome, detail } = event;
    return [{ run, outcome, detail }];
  }
  if (event.event !== 'run') return [];
  const { run, outcome, detail = '' } = event;
  return outcome === 'succeeded' || outcome === 'failed' ? [] : [{ run, outcome, detail }];
}
