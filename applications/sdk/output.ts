import { CommanderError } from 'commander';

import { FractoryError, messageOf } from '../../runtime/errors.js';
import { failureData } from '../../runtime/failure-data.js';
import type { ApplicationAnswer } from './application.js';
import type { FinishedRun } from './data-center.js';
import { columns, waterfall } from './waterfall.js';

/** Numbers that JSON can't hold become text. */
export function toJson(data: unknown): string {
  return JSON.stringify(data, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
}

/** The answer of an application as one JSON object. */
export function answerAsJson(application: string, { answer, runs }: ApplicationAnswer): string {
  const described = (runs ?? []).map(describeRun);
  return toJson({ application, ...answer, ...(runs ? { runs: described } : {}) });
}

/** A failure as one JSON object: `{"error": {code, reason, message, step?, member?}}`. */
export function failureAsJson(thrown: unknown): string {
  if (thrown instanceof FractoryError) return toJson(failureData(thrown));
  const message = messageOf(thrown).replace(/^error: /, '');
  if (thrown instanceof CommanderError)
    return toJson({ error: { code: 'INVALID_ARGUMENT', reason: 'BAD_USAGE', message } });
  return toJson({ error: { code: 'INTERNAL', reason: 'INTERNAL', message } });
}

/** The answer for people: `key  value` lines, tables for lists, then how each run went. */
export function answerAsLines({ answer, runs }: ApplicationAnswer): string[] {
  const lines: string[] = [];
  for (const [key, value] of Object.entries(answer))
    if (Array.isArray(value)) lines.push(...table(value as Record<string, unknown>[]));
    else lines.push(`${key.padEnd(12)}${cell(key, value)}`);
  for (const run of runs ?? []) lines.push('', ...runLines(run));
  return lines;
}

/** A run's headline and waterfall. */
export function runLines(run: FinishedRun<unknown>): string[] {
  const attempts = run.attempts === 1 ? '' : `, ${String(run.attempts)} attempts`;
  return [
    `run ${run.id}: ${run.elapsedMs.toFixed(1)} ms${attempts}`,
    ...waterfall(run.receipts).map((line) => `  ${line}`),
  ];
}

/** Rows as a table, with a column for each key that one of them has; probabilities as per cent. */
export function table(rows: readonly Record<string, unknown>[]): string[] {
  if (rows.length === 0) return [];
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return columns([keys, ...rows.map((row) => keys.map((key) => cell(key, row[key])))]);
}

function cell(key: string, value: unknown): string {
  if (value === undefined) return '';
  if (key === 'probability' && typeof value === 'number') return `${(value * 100).toFixed(1)} %`;
  return typeof value === 'string' ? value : toJson(value);
}

function describeRun({ id, attempts, elapsedMs, receipts }: FinishedRun<unknown>) {
  return {
    id,
    attempts,
    elapsedMs,
    receipts: receipts.map((receipt) => ({
      ...receipt,
      arrivedAtUs: String(receipt.arrivedAtUs),
      bytesIn: Number(receipt.bytesIn),
      bytesOut: Number(receipt.bytesOut),
      heldBytes: Number(receipt.heldBytes),
    })),
  };
}
