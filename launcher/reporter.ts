import type { Logger } from '../runtime/logger.js';
import type { Terminal } from './terminal.js';

/** Hears how a data center comes up, lives and goes down. */
export interface Reporter {
  /** One line that matters. */
  note(text: string): void;
  warn(text: string): void;
  /** How far it has come; many lines, none of them matters for long. */
  progress(text: string): void;
}

export function terminalReporter(terminal: Terminal): Reporter {
  return {
    note: (text) => {
      terminal.note(text);
    },
    warn: (text) => {
      terminal.warn(text);
    },
    progress: (text) => {
      terminal.progress(text);
    },
  };
}

/** Keeps what matters in the launcher's own log. */
export function logReporter(log: Logger): Reporter {
  return {
    note: (text) => {
      log.info(text);
    },
    warn: (text) => {
      log.warn(text);
    },
    progress: () => undefined,
  };
}

/** Tells two at once. */
export function bothReporters(one: Reporter, other: Reporter): Reporter {
  return {
    note: (text) => {
      one.note(text);
      other.note(text);
    },
    warn: (text) => {
      one.warn(text);
      other.warn(text);
    },
    progress: (text) => {
      one.progress(text);
      other.progress(text);
    },
  };
}
