import { destination, pino } from 'pino';
import type { Logger as PinoLogger } from 'pino';

/** Structured log: one JSON line per event, constant message, facts as fields. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Fields on every line, such as the member id. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Default `info`. */
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** File descriptor to write to; default 1 (stdout). */
  readonly descriptor?: number;
}

/** What waits to be written while the disk is full, bytes; lines beyond are dropped. */
const MAX_WAITING_BYTES = 4 * 1024 ** 2;

/** A log that writes synchronously, so that the last line before a crash is there. Lines that can't be written wait until they can. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const file = destination({
    dest: options.descriptor ?? 1,
    sync: true,
    maxLength: MAX_WAITING_BYTES,
  });
  // A full disk is no reason to end: nobody could be told of it here.
  file.on('error', () => undefined);
  return pino(
    {
      level: options.level ?? 'info',
      base: options.fields ?? {},
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: { paths: ['token', 'secret', '*.token', '*.secret'], censor: '[redacted]' },
    },
    file,
  );
}

/** A log that says nothing; for tests and tools. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
