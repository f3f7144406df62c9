import type { Logger } from '../../runtime/logger.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { status } from '@grpc/grpc-js';
import { leaderOf } from '../coordinator.js';
import type { ConnectionState, Member, MemberRecord, Registration } from '../coordinator.js';
import { Listeners } from '../listeners.js';
import { encodeRecord } from '../members.js';
import type { EmbeddedSession, Response } from './embedded-session.js';

export interface EmbeddedRegistrationOptions {
  /** Our number for it within the process. */
  readonly number: number;
  readonly log: Logger;
  /** The members as last seen. */
  readonly members: () => readonly Member[];
  readonly onWithdrawn: () => void;
}

/** Keeps one member registered with the embedded coordinator. */
export class EmbeddedRegistration implements Registration {
  readonly #record: MemberRecord;
  readonly #session: EmbeddedSession;
  readonly #options: EmbeddedRegistrationOptions;
  readonly #listeners = new Listeners<[Registration]>();
  #member: Member | undefined;
  #leads = false;
  #lastEpoch: bigint | undefined;
  /** Generation of the session in which a registration was asked for and has not been answered. */
  #asked: number | undefined;
  /** Registrations up to this epoch are not good enough. */
  #aboveEpoch = 0n;
  /** Hear whether it was done. */
  #renewals: ((done: boolean) => void)[] = [];
  #yielding = false;
  #withdrawn: Promise<void> | undefined;
  #refused: FractoryError | undefined;

  constructor(
    record: MemberRecord,
    session: EmbeddedSession,
    options: EmbeddedRegistrationOptions,
  ) {
    this.#record = record;
    this.#session = session;
    this.#options = options;
  }

  get member(): Member | undefined {
    return this.#member;
  }

  get leads(): boolean {
    return this.#leads && this.#session.isFresh();
  }

  get leadsUntilMs(): number {
    return this.#session.aliveUntilMs;
  }

  get refused(): FractoryError | undefined {
    return this.#refused;
  }

  /** True once it is in the list. */
  get listed(): boolean {
    return this.#listed(this.#member?.epoch);
  }

  subscribe(listener: (registration: Registration) => void): () => void {
    return this.#listeners.add(listener);
  }

  renew(above = 0n): Promise<void> {
    if (this.#withdrawn || this.#session.state !== 'connected') return Promise.reject(noSession());
    for (const epoch of [above, this.#lastEpoch ?? 0n])
      if (epoch > this.#aboveEpoch) this.#aboveEpoch = epoch;
    this.#become(this.#member, false);
    if (this.#asked !== this.#session.generation) this.#ask();
    return new Promise((resolve, reject) => {
      this.#renewals.push((done) => {
        if (done) resolve();
        else reject(noSession());
      });
    });
  }

  withdraw(): Promise<void> {
    this.#withdrawn ??= this.#withdraw();
    return this.#withdrawn;
  }

  abandon(): void {
    this.#withdrawn ??= Promise.resolve();
    this.#become(undefined, false);
    this.#listeners.clear();
    for (const settle of this.#renewals.splice(0)) settle(false);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.withdraw();
  }

  onState(state: ConnectionState): void {
    if (this.#withdrawn) return;
    if (state === 'connected') this.check();
    else if (state === 'suspended') this.#become(this.#member, false);
    else {
      this.#asked = undefined;
      this.#become(undefined, false);
    }
  }

  onResponse(response: Response): void {
    if (response.$case === 'registered' && this.#isOurs(response.value.registration)) {
      const { epoch, sequence } = response.value;
      this.#asked = undefined;
      this.#become({ ...this.#record, epoch, sequence: Number(sequence) }, false);
    }
    if (response.$case === 'refused' && this.#isOurs(response.value.registration)) {
      const { message } = response.value;
      this.#refused = new FractoryError(status.INVALID_ARGUMENT, 'REGISTRATION_REFUSED', message);
      this.#listeners.notify(this);
    }
  }

  /** Compares what is with what should be: after each `connected` and each change of the members. */
  check(): void {
    if (this.#withdrawn || this.#refused || this.#session.state !== 'connected') return;
    if (this.#asked === this.#session.generation) return;
    if (this.#member && this.#isGoodEnough && this.listed) {
      const leader = leaderOf(this.#options.members(), this.#record.type);
      this.#become(this.#member, leader?.epoch === this.#member.epoch);
      for (const settle of this.#renewals.splice(0)) settle(true);
      return;
    }
    const later = this.#laterLife();
    if (later && !this.#yielding)
      this.#options.log.warn({ epoch: later.epoch }, 'a later life of this member is registered');
    this.#yielding = later !== undefined;
    this.#become(undefined, false);
    if (!later) this.#ask();
  }

  #ask(): void {
    const { id: member, type } = this.#record;
    this.#asked = this.#session.generation;
    const value = {
      registration: this.#options.number,
      type,
      member,
      data: encodeRecord(this.#record),
      aboveEpoch: this.#aboveEpoch,
    };
    this.#session.send({ $case: 'register', value });
  }

  /** As in the plan for ZooKeeper: whoever registered after us under our id is there rightly. */
  #laterLife(): Member | undefined {
    const { id, type, instance } = this.#record;
    const last = this.#lastEpoch;
    if (last === undefined) return undefined;
    return this.#options
      .members()
      .find(
        (one) =>
          one.id === id && one.type === type && one.instance !== instance && one.epoch > last,
      );
  }

  get #isGoodEnough(): boolean {
    return this.#member !== undefined && this.#member.epoch > this.#aboveEpoch;
  }

  #isOurs(registration: number): boolean {
    return registration === this.#options.number && !this.#withdrawn;
  }

  #listed(epoch: bigint | undefined): boolean {
    return this.#options.members().some((member) => member.epoch === epoch);
  }

  #become(member: Member | undefined, leads: boolean): void {
    const changed = this.#member?.epoch !== member?.epoch || this.#leads !== leads;
    this.#member = member;
    this.#leads = leads;
    if (member) this.#lastEpoch = member.epoch;
    if (changed) this.#listeners.notify(this);
  }

  async #withdraw(): Promise<void> {
    const epoch = this.#member?.epoch;
    this.#leads = false;
    this.#session.send({
      $case: 'withdraw',
      value: { registration: this.#options.number },
    });
    if (epoch !== undefined) await this.#gone(epoch);
    this.#become(undefined, false);
    this.#listeners.clear();
    for (const settle of this.#renewals.splice(0)) settle(false);
    this.#options.onWithdrawn();
  }

  /** Resolves when the member is gone from the list, or the session, and with it the registration, is over. */
  #gone(epoch: bigint): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        const { state } = this.#session;
        const hasSession = state === 'connected' || state === 'suspended';
        if (hasSession && this.#listed(epoch)) return;
        stopResponses();
        stopStates();
        resolve();
      };
      const stopResponses = this.#session.onResponse(check);
      const stopStates = this.#session.onState(check);
      check();
    });
  }
}

function noSession(): FractoryError {
  return unavailable('NO_SESSION', 'there is no session with the coordinator to register again in');
}
