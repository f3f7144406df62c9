import type { Clock } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { Reachability } from '../../runtime/reachability.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';
import type { MemberKey } from './directory.js';

export interface SuccessionParts {
  readonly coordinator: Pick<Coordinator, 'removeMember'>;
  readonly members: () => readonly Member[];
  /** This member; undefined while it is not registered. */
  readonly self: () => Member | undefined;
  /** Calls the listener once when the link to a member breaks, or can't be made. */
  readonly watch: (member: MemberKey, listener: () => void) => () => void;
  readonly reach: (address: string) => Promise<Reachability>;
  /** A member can't be reached, and there is no sign that it has ended. */
  readonly onSilent: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Between the two refusals that prove the end of a process, ms: it may be about to listen. */
const CERTAIN_MS = 25;
/** Until a link that broke without proof is tried again, ms. */
const AGAIN_MS = 250;

/**
 * The member that `self` watches: the one before it in the queue of its type; the first watches the last, so that everyone is watched.
 * Undefined if there is no other.
 */
export function watchedBy(self: Member, members: readonly Member[]): Member | undefined {
  const queue = members
    .filter(({ type, id }) => type === self.type && id !== self.id)
    .sort((a, b) => a.sequence - b.sequence);
  return queue.filter(({ sequence }) => sequence < self.sequence).at(-1) ?? queue.at(-1);
}

/**
 * Succession by evidence: each member keeps a link to the one before it in the queue. When that breaks and its address then refuses
 * connections, twice, the process has ended, and its registration is taken out at once instead of at the end of its session. Silence proves nothing:
 * then the session timeout decides. Should the evidence be wrong, the member finds itself removed and registers again, and what it does meanwhile in
 * its old epoch is fenced.
 */
export class Succession {
  readonly #parts: SuccessionParts;
  #watched: Member | undefined;
  #stopWatching: () => void = () => undefined;
  #cancelAgain: () => void = () => undefined;
  #closed = false;

  constructor(parts: SuccessionParts) {
    this.#parts = parts;
  }

  /** To be called at each change of the members and of this member's registration. */
  follow(): void {
    const self = this.#parts.self();
    const wanted = this.#closed || !self ? undefined : watchedBy(self, this.#parts.members());
    if (wanted?.epoch === this.#watched?.epoch) return;
    this.#stopWatching();
    this.#cancelAgain();
    this.#watched = wanted;
    this.#watch();
  }

  close(): void {
    this.#closed = true;
    this.follow();
  }

  #watch(): void {
    const watched = this.#watched;
    if (!watched) return;
    this.#stopWatching = this.#parts.watch(watched, () => {
      void this.#examine(watched);
    });
  }

  /** Never rejects. */
  async #examine(member: Member): Promise<void> {
    const isOver = (await this.#refuses(member)) && (await this.#refusesStill(member));
    if (this.#watched !== member) return;
    if (isOver) await this.#remove(member);
    else this.#parts.onSilent();
    this.#cancelAgain = this.#parts.clock.schedule(AGAIN_MS, () => {
      if (this.#watched === member) this.#watch();
    });
  }

  async #refuses({ address }: Member): Promise<boolean> {
    return (await this.#parts.reach(address)) === 'refused';
  }

  async #refusesStill(member: Member): Promise<boolean> {
    await new Promise<void>((resolve) => {
      this.#parts.clock.schedule(CERTAIN_MS, resolve);
    });
    return this.#watched === member && this.#refuses(member);
  }

  async #remove({ id, instance, epoch }: Member): Promise<void> {
    const { coordinator, log } = this.#parts;
    log.info({ peer: id, epoch: String(epoch) }, 'member has ended: its address refuses');
    try {
      await coordinator.removeMember(id, instance);
    } catch (error) {
      log.warn({ peer: id, error: messageOf(error) }, 'member was not taken out');
    }
  }
}
