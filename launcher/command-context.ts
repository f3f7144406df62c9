import type { DataCenterConfig } from '../config/data-center-config.js';
import { loadConfig } from '../config/loader.js';
import { placesFrom } from '../config/paths.js';
import type { Places } from '../config/paths.js';
import type { Interruption } from './interruption.js';
import type { Terminal } from './terminal.js';

/** What every command works with. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly interruption: Interruption;
  /** Project and state folder; known without reading the configuration. */
  readonly places: Places;
  /** Reads the ini file; a ConfigError lists all that is wrong. */
  config(file?: string): Promise<DataCenterConfig>;
}

export function commandContext(
  terminal: Terminal,
  interruption: Interruption,
  environment?: NodeJS.ProcessEnv,
): CommandContext {
  return {
    terminal,
    interruption,
    places: placesFrom(environment),
    config: (file) => loadConfig({ file }),
  };
}
