import { backoffMs } from '../runtime/backoff.js';
import { systemClock } from '../runtime/clock.js';
import type { Clock } from '../runtime/clock.js';
import { describeExit, NodeChild } from './child-process.js';
import type { Exit, NodeCommand } from './child-process.js';
import { stopStages } from './stop-order.js';

export interface SupervisorOptions {
  /** How long a node may take to stop before it is killed, ms. */
  readonly stopGraceMs: number;
  readonly clock?: Clock;
  /** A process was started or is gone. */
  readonly onChange?: () => void;
  /** Something that people should know: a node died and is started again. */
  readonly onNotice?: (text: string) => void;
}

/** A node and its present life. */
interface Supervised {
  readonly command: NodeCommand;
  child: NodeChild | undefined;
  startedAtMs: number;
  failures: number;
  cancelRestart: (() => void) | undefined;
}

/** A node that lived this long has recovered: its next death counts as the first. */
const RECOVERED_MS = 30_000;
const RESTART_BACKOFF = { initialMs: 250, maxMs: 10_000 };

/**
 * Keeps node processes alive: a node that dies is started again, with growing pauses, until `stop`. Until `settle` is
 * called a death is final instead: a data center that can't start says so.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #nodes = new Map<string, Supervised>();
  readonly #firstDeath: Promise<{ command: NodeCommand; exit: Exit }>;
  #reportDeath!: (death: { command: NodeCommand; exit: Exit }) => void;
  #phase: 'starting' | 'keeping' | 'stopping' = 'starting';

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#firstDeath = new Promise((resolve) => {
      this.#reportDeath = resolve;
    });
  }

  start(commands: readonly NodeCommand[]): void {
    for (const command of commands) {
      const node: Supervised = {
        command,
        child: undefined,
        startedAtMs: 0,
        failures: 0,
        cancelRestart: undefined,
      };
      this.#nodes.set(command.name, node);
      this.#spawn(node);
    }
  }

  /** Everything is up: from now on the dead are started again. */
  settle(): void {
    if (this.#phase === 'starting') this.#phase = 'keeping';
  }

  /** Resolves at the first death before `settle`. */
  get firstDeath(): Promise<{ readonly command: NodeCommand; readonly exit: Exit }> {
    return this.#firstDeath;
  }

  /** The lives of now. */
  children(): NodeChild[] {
    return [...this.#nodes.values()].flatMap(({ child }) => (child?.isRunning ? [child] : []));
  }

  /** Stops all nodes, those first that need others. Resolves when none is left. */
  async stop(): Promise<void> {
    this.#cease();
    const types = [...this.#nodes.values()].map(({ command }) => command.type);
    for (const stage of stopStages(types)) {
      const children = this.children().filter(({ command }) => command.type === stage);
      await Promise.all(children.map((child) => child.stop(this.#options.stopGraceMs)));
    }
  }

  /** Ends all nodes at once, without asking. */
  kill(): void {
    this.#cease();
    for (const child of this.children()) child.kill();
  }

  #cease(): void {
    this.#phase = 'stopping';
    for (const node of this.#nodes.values()) node.cancelRestart?.();
  }

  #spawn(node: Supervised): void {
    const child = new NodeChild(node.command);
    node.child = child;
    node.startedAtMs = this.#clock.monotonicMs();
    this.#options.onChange?.();
    void child.exited.then((exit) => {
      this.#died(node, exit);
    });
  }

  #died(node: Supervised, exit: Exit): void {
    this.#options.onChange?.();
    if (this.#phase === 'stopping') return;
    if (this.#phase === 'starting') {
      this.#reportDeath({ command: node.command, exit });
      return;
    }
    const lifetimeMs = this.#clock.monotonicMs() - node.startedAtMs;
    node.failures = lifetimeMs > RECOVERED_MS ? 1 : node.failures + 1;
    const delayMs = Math.round(backoffMs(node.failures, RESTART_BACKOFF));
    this.#options.onNotice?.(
      `${node.command.name} died (${describeExit(exit)}); starting it again in ${String(delayMs)} ms`,
    );
    node.cancelRestart = this.#clock.schedule(delayMs, () => {
      this.#spawn(node);
    });
  }
}
