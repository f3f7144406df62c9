import { isatty } from 'node:tty';

/** What may be shown where. */
export interface TerminalConfig {
  /** Colours on standard output. */
  readonly outputColours: boolean;
  /** Colours on standard error. */
  readonly errorColours: boolean;
  /** Somebody watches standard error: progress may move. */
  readonly interactive: boolean;
}

/** NO_COLOR and TERM=dumb turn colours off, FORCE_COLOR turns them on; otherwise terminals have them. */
export function readTerminal(
  environment: NodeJS.ProcessEnv = process.env,
  terminal: (descriptor: number) => boolean = isatty,
): TerminalConfig {
  const { NO_COLOR: off, FORCE_COLOR: forced, TERM: kind } = environment;
  const coloured = (descriptor: number): boolean => {
    if (off !== undefined && off !== '') return false;
    if (forced !== undefined && forced !== '' && forced !== '0') return true;
    return terminal(descriptor) && kind !== 'dumb';
  };
  return {
    outputColours: coloured(1),
    errorColours: coloured(2),
    interactive: terminal(2) && kind !== 'dumb',
  };
}
