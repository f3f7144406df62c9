/** How agents show a member; gone ones may be forgotten. */
export type Shown = 'alive' | 'failed' | 'left';

/** An agent of either kind, in a process of its own, that may be ended and started again. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  readonly kind: 'ours' | 'serf';
  /** `ADDRESS:PORT`. */
  readonly address: string;
  /** Neither ended nor paused. */
  readonly isRunning: boolean;
  /** Resolves when it serves and has joined. `join`: undefined = it is the first. */
  start(join: string | undefined): Promise<void>;
  /** Ends it at once. */
  kill(): Promise<void>;
  /** Stops its process, which then knows of nothing, and has it go on. */
  pause(): void;
  resume(): void;
  /** Has it say goodbye. Resolves when it has ended. */
  leave(): Promise<void>;
  /** All members that it shows. */
  list(): Promise<ReadonlyMap<string, Shown>>;
  /** Names of members whose failure it told since it was asked last. */
  failuresTold(): readonly string[];
}
