import type { LogFiles } from './log-files.js';

export interface LogLine {
  /** Member in whose log it stands. */
  readonly from: string;
  readonly line: string;
}

/** The last lines of several logs in order of time. A line without a time stays behind the one above it. */
export function mergeLines(logs: readonly (readonly LogLine[])[]): LogLine[] {
  const timed = logs.flatMap((lines) => {
    let time = '';
    return lines.map((entry) => {
      time = timeOf(entry.line) ?? time;
      return { entry, time };
    });
  });
  // The sort is stable, so lines of one log keep their order.
  return timed
    .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
    .map(({ entry }) => entry);
}

export async function lastMerged(
  files: LogFiles,
  members: readonly string[],
  count: number,
  options: { readonly earlier?: boolean } = {},
): Promise<LogLine[]> {
  const logs = await Promise.all(
    members.map(async (from) => {
      const lines = await files.lastLines(from, count, options);
      return lines.map((line) => ({ from, line }));
    }),
  );
  return count === 0 ? [] : mergeLines(logs).slice(-count);
}

function timeOf(line: string): string | undefined {
  return /"time":"([^"]+)"/.exec(line)?.[1];
}
