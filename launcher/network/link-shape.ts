/** How the links between the nodes are shaped. */
export interface LinkShape {
  /** Bits a second, each way of each node's link. */
  readonly bitsPerSecond?: number;
  /** One way between any two nodes, microseconds. */
  readonly latencyUs?: number;
}

const RATE_UNITS: Readonly<Record<string, number>> = { kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const TIME_UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1e3 };

const MIN_BITS_PER_SECOND = 1e6;
const MAX_BITS_PER_SECOND = 100e9;
const MAX_LATENCY_US = 1e6;

/** Reads `1gbit`, `100mbit`; bits a second, or undefined. */
export function parseRate(text: string): number | undefined {
  const value = parseUnit(text, RATE_UNITS);
  return value !== undefined && value >= MIN_BITS_PER_SECOND && value <= MAX_BITS_PER_SECOND
    ? value
    : undefined;
}

/** Reads `100us`, `1ms`; microseconds, or undefined. */
export function parseLatency(text: string): number | undefined {
  const value = parseUnit(text, TIME_UNITS);
  return value !== undefined && value >= 1 && value <= MAX_LATENCY_US ? value : undefined;
}

function parseUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim());
  const unit = units[(match?.[2] ?? '').toLowerCase()];
  return match && unit !== undefined ? Number(match[1]) * unit : undefined;
}

/** `1 Gbit/s`, `952 Mbit/s`: three digits. */
export function formatRate(bitsPerSecond: number): string {
  const [unit, scale] = bitsPerSecond >= 1e9 ? ['Gbit/s', 1e9] : ['Mbit/s', 1e6];
  return `${String(Number((bitsPerSecond / scale).toPrecision(3)))} ${unit}`;
}
