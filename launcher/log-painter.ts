import type { Colours, Painter } from './colours.js';

const LEVELS: Readonly<Record<string, string>> = {
  trace: 'TRACE',
  debug: 'DEBUG',
  info: 'INFO ',
  warn: 'WARN ',
  error: 'ERROR',
  fatal: 'FATAL',
};
/** Fields that have a place of their own on the line. */
const PLACED = new Set(['level', 'time', 'msg', 'member', 'type', 'pid', 'hostname', 'err', 'v']);

/** Turns JSON log lines into readable ones, each node in a colour of its own. */
export class LogPainter {
  readonly #colours: Colours;
  readonly #palette: readonly Painter[];
  readonly #painters = new Map<string, Painter>();

  constructor(colours: Colours) {
    this.#colours = colours;
    const { cyan, green, magenta, yellow, blue, red } = colours;
    this.#palette = [cyan, green, magenta, yellow, blue, red];
  }

  /** `member` names the file that the line stands in; a line that is no JSON is shown as it is. */
  paint(member: string, line: string): string {
    const name = this.#painterOf(member)(member.padEnd(14));
    const entry = parseEntry(line);
    if (!entry) return `${' '.repeat(12)} ${name} ${line}`;
    const { dim } = this.#colours;
    const parts = [dim(timeOf(entry)), name, this.#level(entry), textOf(entry['msg'])];
    const rest = fieldsOf(entry);
    if (rest !== '') parts.push(dim(rest));
    return [parts.join(' '), ...stackOf(entry)].join('\n');
  }

  #painterOf(member: string): Painter {
    let painter = this.#painters.get(member);
    if (!painter) {
      painter = this.#palette[this.#painters.size % this.#palette.length] ?? String;
      this.#painters.set(member, painter);
    }
    return painter;
  }

  #level(entry: LogEntry): string {
    const level = String(entry['level']);
    const text = LEVELS[level] ?? level;
    if (level === 'error' || level === 'fatal') return this.#colours.red(text);
    return level === 'warn' ? this.#colours.yellow(text) : this.#colours.dim(text);
  }
}

type LogEntry = Readonly<Record<string, unknown>>;

function parseEntry(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return undefined;
  }
}

function timeOf(entry: LogEntry): string {
  const date = new Date(String(entry['time']));
  if (Number.isNaN(date.getTime())) return ' '.repeat(12);
  const two = (value: number): string => String(value).padStart(2, '0');
  const milliseconds = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}

function fieldsOf(entry: LogEntry): string {
  const fields = Object.entries(entry).filter(([key]) => !PLACED.has(key));
  const error = entry['err'];
  const message = isRecord(error) ? [`error=${textOf(error['message'])}`] : [];
  return [...fields.map(([key, value]) => `${key}=${textOf(value)}`), ...message].join(' ');
}

/** The stack of an error, without its first line, which is the message. */
function stackOf(entry: LogEntry): string[] {
  const error = entry['err'];
  const stack = isRecord(error) ? error['stack'] : undefined;
  if (typeof stack !== 'string') return [];
  return stack
    .split('\n')
    .filter((line) => line.trimStart().startsWith('at '))
    .map((line) => ' '.repeat(14) + line.trim());
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
