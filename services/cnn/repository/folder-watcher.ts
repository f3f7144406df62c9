import { existsSync, watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';

import type { Clock } from '../../../runtime/clock.js';

/** Quiet time after a change before it is looked at: files are mostly written in several pieces. */
const DEBOUNCE_MS = 150;

export interface FolderWatcherOptions {
  readonly clock: Clock;
  /** Time between two looks where nothing is heard. */
  readonly rescanMs: number;
  /** Called when something may have changed; never twice at a time. Doesn't reject. */
  readonly onChange: () => Promise<void>;
}

/** Tells when something below some folders may have changed: when the operating system says so, and every now and then. */
export class FolderWatcher implements Disposable {
  readonly #folders: readonly string[];
  readonly #options: FolderWatcherOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  #cancel: () => void = () => undefined;
  #isLooking = false;
  /** First change since the last look. */
  #heardAtMs: number | undefined;
  #isStopped = false;

  constructor(folders: readonly string[], options: FolderWatcherOptions) {
    this.#folders = folders;
    this.#options = options;
  }

  start(): void {
    this.#listen();
    this.#lookIn(this.#options.rescanMs);
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Folders that came since; one that can't be listened to is looked at now and then. */
  #listen(): void {
    for (const folder of this.#folders) {
      if (this.#watchers.has(folder) || !existsSync(folder)) continue;
      const drop = (): void => {
        this.#watchers.get(folder)?.close();
        this.#watchers.delete(folder);
      };
      try {
        const watcher = watch(folder, { recursive: true, persistent: false }, () => {
          this.#heard();
        });
        watcher.on('error', drop);
        this.#watchers.set(folder, watcher);
      } catch {
        // Too many watches, or a file system that knows none.
        drop();
      }
    }
  }

  #hasHeard(): boolean {
    return this.#heardAtMs !== undefined;
  }

  /** Puts the next look off until it is quiet, but not for ever. */
  #heard(): void {
    const { clock, rescanMs } = this.#options;
    const now = clock.monotonicMs();
    this.#heardAtMs ??= now;
    if (!this.#isLooking)
      this.#lookIn(Math.max(0, Math.min(DEBOUNCE_MS, this.#heardAtMs + rescanMs - now)));
  }

  #lookIn(delayMs: number): void {
    this.#cancel();
    if (this.#isStopped) return;
    this.#cancel = this.#options.clock.schedule(delayMs, () => {
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    this.#heardAtMs = undefined;
    await this.#options.onChange();
    this.#isLooking = false;
    if (this.#isStopped) return;
    this.#listen();
    this.#lookIn(this.#hasHeard() ? DEBOUNCE_MS : this.#options.rescanMs);
  }
}
