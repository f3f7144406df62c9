import { status } from '@grpc/grpc-js';

import { backoffMs } from '../runtime/backoff.js';
import { systemClock } from '../runtime/clock.js';
import type { Clock } from '../runtime/clock.js';
import { FractoryError } from '../runtime/errors.js';
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
  /** A node ended by itself: who lists this life of it may forget it. Called before the next life begins. */
  readonly onDeath?: (life: NodeChild) => void;
  /** The command of a node's next life, from that of the one before. Default: the same. */
  readonly nextCommand?: (command: NodeCommand) => NodeCommand;
}

/** A node and its present life. */
interface Supervised {
  command: NodeCommand;
  child: NodeChild | undefined;
  startedAtMs: number;
  /** Deaths in a row. */
  failures: number;
  lives: number;
  /** It was asked to stop, and begins its next life after that. */
  isRestarting: boolean;
  cancelRestart: (() => void) | undefined;
}

/** How a supervised node is, as far as its launcher can tell. */
export interface SupervisedNode {
  readonly name: string;
  readonly type: string;
  /** 0 while it isn't running. */
  readonly pid: number;
  readonly state: 'running' | 'restarting' | 'dead';
  /** Lives before this one. */
  readonly restarts: number;
}

/** A node that lived this long has recovered: its next death counts as the first. Who fails at its work fails sooner; who is killed again and again must not be kept away. */
const RECOVERED_MS = 5000;
const RESTART_BACKOFF = { initialMs: 250, maxMs: 10_000 };
/** A start takes a third of a second of a processor, which whoever takes the dead one's place needs more. */
const ASIDE_MS = 400;

/**
 * Keeps node processes alive: a node that dies is started again until `stop`: the first time at once, or a moment later where another of its type takes
 * its place, and then with growing pauses.
 * Until `settle` is called a death is final instead: a data center that can't start says so.
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
        lives: 0,
        isRestarting: false,
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

  /** All nodes, also those that are between two lives. */
  nodes(): SupervisedNode[] {
    return [...this.#nodes.values()].map(({ command, child, isRestarting, lives }) => {
      const pid = child?.isRunning ? child.pid : 0;
      const state = isRestarting ? 'restarting' : pid === 0 ? 'dead' : 'running';
      return { name: command.name, type: command.type, pid, state, restarts: lives - 1 };
    });
  }

  /** Stops a node in good order and starts it again; resolves with its next life, which has only begun. */
  async restart(name: string): Promise<NodeChild> {
    const node = this.#nodes.get(name);
    if (!node) throw new Error(`${name} is not supervised here`);
    if (this.#phase !== 'keeping' || node.isRestarting) throw notNow(name);
    node.cancelRestart?.();
    node.isRestarting = true;
    await node.child?.stop(this.#options.stopGraceMs);
    node.isRestarting = false;
    if (this.phase !== 'keeping') throw notNow(name);
    node.failures = 0;
    return this.#next(node);
  }

  get phase(): 'starting' | 'keeping' | 'stopping' {
    return this.#phase;
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

  #next(node: Supervised): NodeChild {
    node.command = this.#options.nextCommand?.(node.command) ?? node.command;
    return this.#spawn(node);
  }

  #spawn(node: Supervised): NodeChild {
    const child = new NodeChild(node.command);
    node.child = child;
    node.lives++;
    node.startedAtMs = this.#clock.monotonicMs();
    this.#options.onChange?.();
    void child.exited.then((exit) => {
      this.#died(node, child, exit);
    });
    return child;
  }

  #died(node: Supervised, child: NodeChild, exit: Exit): void {
    this.#options.onChange?.();
    if (this.#phase === 'stopping' || node.isRestarting || node.child !== child) return;
    if (this.#phase === 'starting') {
      this.#reportDeath({ command: node.command, exit });
      return;
    }
    this.#options.onDeath?.(child);
    const lifetimeMs = this.#clock.monotonicMs() - node.startedAtMs;
    node.failures = lifetimeMs > RECOVERED_MS ? 1 : node.failures + 1;
    const asideMs = this.#hasFellow(node) ? ASIDE_MS : 0;
    const pauseMs = Math.max(asideMs, Math.round(pauseAfter(node.failures)));
    const when = pauseMs === 0 ? 'at once' : `in ${String(pauseMs)} ms`;
    const { name } = node.command;
    this.#options.onNotice?.(`${name} died (${describeExit(exit)}); starting it again ${when}`);
    if (pauseMs === 0) this.#next(node);
    else
      node.cancelRestart = this.#clock.schedule(pauseMs, () => {
        this.#next(node);
      });
  }

  #hasFellow({ command: { name, type } }: Supervised): boolean {
    return this.children().some(({ command }) => command.type === type && command.name !== name);
  }
}

/** One death may be chance; a node that dies again and again would otherwise take a processor for itself. */
function pauseAfter(deaths: number): number {
  return deaths === 1 ? 0 : backoffMs(deaths - 1, RESTART_BACKOFF);
}

function notNow(name: string): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'NOT_RESTARTABLE',
    `${name} can't be restarted now: the data center starts or stops, or it is being restarted already`,
  );
}
