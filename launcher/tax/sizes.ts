const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, kib: 1024, mib: 1024 ** 2 };

/** Smallest payload: a whole picture has to fit. */
const MIN_PAYLOAD_BYTES = 256;
/** Largest payload: what a CNN node takes as a picture. */
const MAX_PAYLOAD_BYTES = 16 * 1024 ** 2;

export const DEFAULT_SIZES: readonly number[] = [1024, 64 * 1024, 1024 ** 2, 8 * 1024 ** 2];

/** Reads `1KiB, 64KiB, 1 MiB`; undefined where one of them is no size, or too small or too large. Ascending, each once. */
export function parseSizes(text: string): number[] | undefined {
  const sizes = text.split(',').map((part) => parseSize(part.trim()));
  if (!sizes.every((size) => size !== undefined)) return undefined;
  return [...new Set(sizes)].sort((a, b) => a - b);
}

function parseSize(text: string): number | undefined {
  const match = /^(\d+)\s*(b|kib|mib)?$/i.exec(text);
  if (!match) return undefined;
  const bytes = Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? Number.NaN);
  return bytes >= MIN_PAYLOAD_BYTES && bytes <= MAX_PAYLOAD_BYTES ? bytes : undefined;
}

/** `1 KiB`, `2.05 MiB`: whole where it is whole. */
export function formatBytes(bytes: number): string {
  const [unit, scale] = bytes >= 1024 ** 2 ? ['MiB', 1024 ** 2] : ['KiB', 1024];
  const value = bytes / scale;
  if (bytes < 1024) return `${String(Math.round(bytes))} B`;
  return `${Number.isInteger(value) ? String(value) : value.toFixed(2)} ${unit}`;
}
