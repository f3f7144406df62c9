const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads a time such as `500ms`, `1.5s`, `30m`, `2h`; a number alone is seconds. In ms; undefined if it is none, or not above 0. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  if (!match) return undefined;
  const ms = Number(match[1]) * (UNITS[match[2] ?? 's'] ?? Number.NaN);
  return ms > 0 ? Math.max(1, Math.round(ms)) : undefined;
}

/** For people: `37 ms`, `1.94 s`, `12 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${String(Math.round(ms))} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${String(Math.round(ms / 60_000))} min`;
}
