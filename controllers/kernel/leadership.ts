import { Metadata, status } from '@grpc/grpc-js';

import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import type { DescribeResponse } from '../../protos/gen/fractory/v1/controller.js';
import type { ChannelPool } from '../../runtime/channels.js';
import { systemClock } from '../../runtime/clock.js';
import { FractoryError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { reach } from '../../runtime/reachability.js';
import type { Reachability } from '../../runtime/reachability.js';
import type { Coordinator, Member, Registration } from '../../zookeeper/coordinator.js';
import { CutOff } from './cut-off.js';
import type { Directory } from './directory.js';
import type { Links } from './links.js';
import { HOLD_OFF_MS, StandingIn } from './standing-in.js';
import type { FellowAnswer } from './standing-in.js';
import { Succession } from './succession.js';

export interface LeadershipParts {
  readonly coordinator: Coordinator;
  readonly directory: Directory;
  readonly links: Pick<Links, 'watch'>;
  readonly channels: ChannelPool;
  /** Hears whenever `serves` may have changed. */
  readonly onChange: () => void;
  readonly log: Logger;
}

/** A connection to a neighbour that takes longer is none, ms. */
const REACH_MS = 400;
/** A fellow that answers later is silent, ms. */
const ANSWER_MS = 300;
/** Whoever is about to lead holds what comes for the leader back so long at most, ms. */
const SOON_MS = 100;
/** Between two times that this member gives up leadership by itself, ms. */
const STEP_BACK_MS = 1000;

/**
 * What a node does so that its type has one leader, and one that others can reach: it watches its predecessor (`Succession`), steps back where nobody
 * reaches it (`CutOff`) and goes on where the coordinator is away for everybody (`StandingIn`).
 */
export class Leadership {
  readonly #parts: LeadershipParts;
  readonly #registration: Registration;
  readonly #succession: Succession;
  readonly #cutOff: CutOff;
  readonly #standingIn: StandingIn;
  readonly #stopListening: (() => void)[];
  /** Epoch in which this member led last. */
  #led = 0n;
  #wasCutOff = false;
  #notBeforeMs = -Infinity;
  #steppedBackAtMs = -Infinity;
  #isClosed = false;
  #soon: Promise<void> | undefined;
  #endSoon: () => void = () => undefined;
  #cancelHoldOff: () => void = () => undefined;

  constructor(registration: Registration, parts: LeadershipParts) {
    const { coordinator, directory, links, log } = parts;
    this.#parts = parts;
    this.#registration = registration;
    const probe = (address: string): Promise<Reachability> => reach(address, REACH_MS);
    this.#cutOff = new CutOff({
      others: () => directory.members().filter(({ id }) => id !== registration.member?.id),
      // Where routing leaves a choice nobody is replaced: another life would only lose what this one holds.
      matters: () =>
        registration.leads && registration.member?.routing === 'leader' && this.#fellows.length > 0,
      onCutOff: () => {
        log.warn({ epoch: this.#epoch }, 'cut off from most members: another is to lead');
        void this.stepBack(0n);
      },
      sessionTimeoutMs: () => coordinator.sessionTimeoutMs,
      ...{ reach: probe, clock: systemClock },
    });
    this.#cutOff.watch();
    this.#standingIn = new StandingIn({
      fellows: () => this.#fellows,
      ask: (fellow) => this.#ask(fellow),
      onRound: parts.onChange,
      clock: systemClock,
    });
    this.#succession = new Succession({
      ...{ coordinator, log, clock: systemClock, reach: probe },
      members: () => directory.members(),
      self: () => registration.member,
      watch: (member, listener) => links.watch(member, listener),
      onSilent: () => {
        this.#cutOff.suspect();
      },
    });
    const follow = (): void => {
      this.#follow();
    };
    this.#stopListening = [
      directory.subscribe(follow),
      registration.subscribe(follow),
      coordinator.onState(follow),
    ];
    this.#follow();
  }

  /**
   * Whether this member may do what only the leader does: it leads, or it led when it lost the coordinator and nobody can have taken its place. Computed from
   * the clock when read, so whoever was frozen doesn't believe an old answer.
   */
  get serves(): boolean {
    const { member, leads, leadsUntilMs } = this.#registration;
    if (member?.epoch !== this.#led) return false;
    const nowMs = systemClock.monotonicMs();
    return leads || nowMs < leadsUntilMs || nowMs < this.#standingIn.untilMs;
  }

  /**
   * While this member is next because who leads has said that it leaves: resolves when this one serves, or is not next any more, at the latest after `SOON_MS`. What
   * comes early is held back so long rather than refused, which would cost its caller a pause. Undefined otherwise.
   */
  servesSoon(): Promise<void> | undefined {
    if (this.serves || !this.#isNext) return undefined;
    this.#soon ??= this.#waitForTurn();
    return this.#soon;
  }

  /** See `KernelAccess.stepBack`. */
  async stepBack(above: bigint): Promise<void> {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - this.#steppedBackAtMs < STEP_BACK_MS) return;
    this.#steppedBackAtMs = nowMs;
    this.#parts.log.warn({ epoch: this.#epoch, above: String(above) }, 'node steps back');
    this.#led = 0n;
    try {
      await this.#registration.renew(above);
    } catch (error) {
      // Without a session there is nothing to step back from; with one it leads on, and may step back again.
      this.#parts.log.info({ error: messageOf(error) }, 'node did not step back');
      this.#follow();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stopListening) stop();
    this.#succession.close();
    this.#cutOff.close();
    this.#led = 0n;
    this.#cancelHoldOff();
    this.#endSoon();
  }

  get #isNext(): boolean {
    const { coordinator, directory } = this.#parts;
    const { member } = this.#registration;
    if (this.#isClosed || !member || coordinator.state !== 'connected') return false;
    return directory.nextLeader(member.type)?.epoch === member.epoch;
  }

  async #waitForTurn(): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = systemClock.schedule(SOON_MS, resolve);
      this.#endSoon = () => {
        cancel();
        resolve();
      };
    });
    this.#soon = undefined;
  }

  #follow(): void {
    if (this.#isClosed) return;
    this.#succession.follow();
    const isCutOff = this.#parts.coordinator.state !== 'connected';
    if (this.#wasCutOff && !isCutOff) this.#holdOff();
    this.#wasCutOff = isCutOff;
    const { member, leads } = this.#registration;
    if (member && leads && this.#mayBegin(member)) this.#led = member.epoch;
    if (isCutOff && this.serves)
      this.#standingIn.begin(
        () => this.#wasCutOff && this.#led === this.#registration.member?.epoch,
      );
    this.#parts.onChange();
    if (this.#soon && (this.serves || !this.#isNext)) this.#endSoon();
  }

  /** Whoever led before it was cut off goes on at once. */
  #mayBegin({ epoch }: Member): boolean {
    return epoch === this.#led || systemClock.monotonicMs() >= this.#notBeforeMs;
  }

  #holdOff(): void {
    if (this.#fellows.length === 0) return;
    this.#notBeforeMs = systemClock.monotonicMs() + HOLD_OFF_MS;
    this.#cancelHoldOff();
    this.#cancelHoldOff = systemClock.schedule(HOLD_OFF_MS + 1, () => {
      this.#follow();
    });
  }

  async #ask({ address }: Member): Promise<FellowAnswer> {
    const client = this.#parts.channels.client(ControllerServiceClient, address);
    const answer = await new Promise<DescribeResponse | undefined>((resolve) => {
      const options = { deadline: Date.now() + ANSWER_MS };
      client.describe({}, new Metadata(), options, (error, described) => {
        resolve(error ? undefined : described);
      });
    });
    if (answer) return answer.coordinated ? 'coordinated' : 'cut-off';
    return (await reach(address, REACH_MS)) === 'refused' ? 'gone' : 'silent';
  }

  get #fellows(): readonly Member[] {
    const self = this.#registration.member;
    return this.#parts.directory
      .members()
      .filter(({ type, id }) => type === self?.type && id !== self.id);
  }

  get #epoch(): string {
    return String(this.#registration.member?.epoch ?? 0n);
  }
}

/** What a member answers that does not lead. `leader`: as it is known now. */
export function notLeading(member: string, leader: Member | undefined): FractoryError {
  const known = leader && leader.id !== member ? leader : undefined;
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'NOT_LEADER',
    known
      ? `${member} does not lead; ask ${known.id} at ${known.address}`
      : `${member} does not lead now; ask again shortly`,
    known
      ? { metadata: { leader: known.id, address: known.address, epoch: String(known.epoch) } }
      : {},
  );
}
