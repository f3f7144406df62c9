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

/** A log that writes synchronously, so that the last line before a crash is there. */
export function createLogger(options: LoggerOptions = {}): Logger {
  return pino(
    {
      level: options.level ?? 'info',
      base: options.fields ?? {},
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      redact: { paths: ['token', 'secret', '*.token', '*.secret'], censor: '[redacted]' },
    },
    destination({ dest: options.descriptor ?? 1, sync: true }),
  );
}

/** A log that says nothing; for tests and tools. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
