import { silentLogger } from '../../runtime/logger.js';
import type { Logger } from '../../runtime/logger.js';
import type { Delegate } from '../core/gossip-member.js';
import type { Endpoint, MemberView } from '../core/member.js';
import { isGone } from '../core/member.js';
import type { MemberChange } from '../core/membership.js';
import type { Keyring } from '../wire/keyring.js';
import { Slices } from '../net/sliced.js';
import { WireError } from '../wire/wire-error.js';
import { NetworkPlace } from './coordinate.js';
import type { Coordinate } from './coordinate.js';
import { decodeCoordinate, encodeCoordinate } from './coordinate-payload.js';
import { EventBoard } from './event-board.js';
import type { UserEvent } from './events.js';
import { decodeJoin, decodeLeave, encodeJoin, encodeLeave } from './intents.js';
import type { KeyChange } from './internal-queries.js';
import { LamportTime } from './lamport-time.js';
import { SerfType } from './message-type.js';
import { QueryDesk } from './query-desk.js';
import type { EventDelegate } from './serf-member.js';
import { Standings } from './standings.js';
import type { IntentOutcome } from './standings.js';
import { decodingState, encodingState } from './state.js';
import type { SerfState } from './state.js';
import { decodeTags } from './tags.js';

const TOLD_DIRECTLY = 16;
/** Agents of Serf make none larger: their events have 9 KiB at most. */
const MAX_MESSAGE_BYTES = 16 * 1024;

/** What it speaks through: a member list, or something that stands for one. */
export interface VoiceList {
  /** Largest message that can be passed on. */
  readonly roomBytes: number;
  allMembers(): MemberView[];
  member(name: string): MemberView | undefined;
  broadcast(message: Uint8Array): Promise<void>;
  sendBestEffort(to: Endpoint, message: Uint8Array): void;
  /** Something that arrived counts for nothing. */
  refuse(problem: WireError): void;
}

export interface VoiceOptions {
  readonly name: string;
  readonly keyring: Keyring | undefined;
  readonly random: () => number;
  readonly log?: Logger;
  readonly events?: EventDelegate;
  onEvent(event: UserEvent): void;
  /** As agents of Serf see it: who said that it goes has left, though its goodbye was not heard. */
  onChange(change: MemberChange): void;
  /** An operator had somebody removed. */
  onPruned?(name: string): void;
  onRekeyed?(how: KeyChange, problem: string | undefined): void;
}

/** What a member says and hears at Serf's level: intents, events, queries, coordinates. `attach` it to its list. */
export class SerfVoice implements Delegate {
  readonly #options: VoiceOptions;
  readonly #log: Logger;
  readonly #time = new LamportTime();
  readonly #standings: Standings;
  readonly #board: EventBoard;
  readonly #desk: QueryDesk;
  readonly #place: NetworkPlace;
  readonly #coordinates = new Map<string, Coordinate>();
  #list: VoiceList | undefined;
  #leaving = false;
  /** Joins of this member that are under way. */
  #joins = 0;
  readonly #slices = new Slices();

  constructor(options: VoiceOptions) {
    const { name, keyring, random, events, log = silentLogger() } = options;
    this.#options = options;
    this.#log = log;
    this.#standings = new Standings(name);
    this.#place = new NetworkPlace(random);
    this.#board = new EventBoard(
      (event) => {
        if (event.name !== events?.name) options.onEvent(event);
        // Others may understand it: it is passed on.
        else
          this.#understood(() => {
            events.onEvent(event.payload);
          });
      },
      // Those have a state of their own.
      (told) => told !== events?.name,
    );
    this.#desk = new QueryDesk({
      random,
      facts: {
        ...{ name, keyring },
        member: (asked) => {
          const view = this.#list?.member(asked);
          const standing = this.#standings.of(asked);
          return view && standing ? { view, standing } : undefined;
        },
        rekeyed: (how, problem) => {
          if (problem === undefined) log.warn({ how }, 'a key of the cluster was changed');
          else log.error({ how, problem }, 'a key of the cluster could not be changed');
          options.onRekeyed?.(how, problem);
        },
      },
      failed: (error) => {
        log.error({ err: error }, 'a query was not answered');
      },
      tags: () => decodeTags(this.#list?.member(name)?.meta ?? new Uint8Array()),
      members: () => this.#list?.allMembers() ?? [],
      send: (to, message) => {
        if (this.#fits(message)) this.#list?.sendBestEffort(to, message);
      },
    });
  }

  /** To be called before anything is said. */
  attach(list: VoiceList): void {
    this.#list = list;
  }

  get coordinate(): Coordinate {
    return this.#place.coordinate;
  }

  coordinateOf(name: string): Coordinate | undefined {
    return this.#coordinates.get(name);
  }

  /** A member as agents of Serf see it; undefined = it is not to be shown. */
  seen(view: MemberView): MemberView | undefined {
    if (!isGone(view)) return view;
    if (this.#standings.isPruned(view.name)) return undefined;
    const isLeft = view.state === 'dead' && this.#standings.of(view.name) === 'left';
    return isLeft ? { ...view, state: 'left' } : view;
  }

  /** Runs a join of this member: what was told before it is not for it. */
  async joining<T>(join: () => Promise<T>): Promise<T> {
    this.#joins++;
    try {
      return await join();
    } finally {
      this.#joins--;
    }
  }

  /** Unless it leaves: a join that ends late must not take that back. */
  sayJoined(): void {
    if (this.#leaving) return;
    const intent = { time: this.#time.take(), name: this.#options.name };
    this.#standings.joins(intent);
    this.#say(encodeJoin(intent));
  }

  sayEvent(name: string, payload: Uint8Array, coalesce: boolean): void {
    const { roomBytes = 0 } = this.#list ?? {};
    void this.#list?.broadcast(this.#board.own({ name, payload, coalesce }, roomBytes));
  }

  sayLeaving(): Promise<void> {
    this.#leaving = true;
    const intent = { time: this.#time.take(), name: this.#options.name, prune: false };
    this.#standings.leaves(intent, true);
    const message = encodeLeave(intent);
    this.#tell(message);
    return this.#list?.broadcast(message) ?? Promise.resolve();
  }

  /** Of somebody else, as an operator says it. */
  sayLeft(name: string, prune: boolean): void {
    const intent = { time: this.#time.take(), name, prune };
    this.#after(name, this.#standings.leaves(intent, this.#leaving));
    this.#say(encodeLeave(intent));
  }

  changed(change: MemberChange): void {
    const { kind, member } = change;
    if (kind === 'join') this.#standings.came(member.name);
    if (kind === 'fail' || kind === 'leave') {
      this.#place.forget(member.name);
      this.#coordinates.delete(member.name);
      const standing = this.#standings.went(member.name, kind === 'leave');
      if (kind === 'fail' && standing === 'left') {
        this.#options.onChange({ kind: 'leave', member: { ...member, state: 'left' } });
        return;
      }
    }
    this.#options.onChange(change);
  }

  onUserMessage(message: Uint8Array): void {
    this.#understood(() => {
      if (message.length > MAX_MESSAGE_BYTES)
        throw new WireError('too_large', `a message of ${String(message.length)} bytes`);
      if (this.#isToBePassedOn(message)) this.#say(message);
    });
  }

  /** Unless the other side joins, what it knows is not told again. */
  async localState(join = false, heard: Uint8Array = new Uint8Array()): Promise<Uint8Array> {
    const { time: eventTime } = this.#board;
    const ours = (await this.#options.events?.state()) ?? new Uint8Array();
    const known = join ? new Map<string, number>() : await this.#timesIn(heard);
    const intents = await this.#slices.run(this.#intents(known));
    const state = {
      ...{ time: this.#time.now, ours, ...intents, eventTime: eventTime.now },
      ...{ events: this.#board.toldAgain(), queryTime: this.#desk.time.now },
    };
    return this.#slices.run(encodingState(state));
  }

  /** What is not understood is told when it is merged. */
  async #timesIn(heard: Uint8Array): Promise<SerfState['statusTimes']> {
    try {
      return (await this.#slices.run(decodingState(heard)))?.statusTimes ?? new Map();
    } catch (error) {
      if (error instanceof WireError) return new Map();
      throw error;
    }
  }

  *#intents(
    known: SerfState['statusTimes'],
  ): Generator<undefined, Pick<SerfState, 'statusTimes' | 'left'>> {
    const statusTimes = new Map<string, number>();
    const left: string[] = [];
    for (const [name, { time, standing }] of this.#standings.all()) {
      yield undefined;
      // An intent no newer than the last one that is known would count for nothing; of who left, the time stands beside.
      if (standing === 'left') left.push(name);
      else if ((known.get(name) ?? -1) >= time) continue;
      statusTimes.set(name, time);
    }
    return { statusTimes, left };
  }

  async mergeState(bytes: Uint8Array, join: boolean): Promise<void> {
    // Of whom we join: who joins us may be behind, or far ahead.
    const ofWhomWeJoin = join && this.#joins > 0;
    try {
      const state = await this.#slices.run(decodingState(bytes));
      if (!state) return;
      this.#setClocks(state, ofWhomWeJoin);
      await this.#slices.run(this.#merging(state));
      await this.#slices.run(this.#forgettingStrangers());
      if (state.ours.length > 0) await this.#options.events?.mergeState(state.ours);
    } catch (error) {
      this.#notUnderstood(error);
    }
  }

  #setClocks({ time, eventTime, queryTime }: SerfState, ofWhomWeJoin: boolean): void {
    const how = ofWhomWeJoin ? 'follow' : 'witness';
    // Nothing was said yet at the times that they show.
    this.#understood(() => {
      this.#time[how](time - 1);
    });
    this.#understood(() => {
      this.#desk.time[how](queryTime - 1);
    });
    this.#understood(() => {
      this.#board.time[how](eventTime - 1);
      if (ofWhomWeJoin) this.#board.ignoreBefore(eventTime);
    });
  }

  /** What is understood of it counts. */
  *#merging({ statusTimes, left, events }: SerfState): Generator<undefined, void> {
    const gone = new Set(left);
    for (const name of gone) {
      yield undefined;
      const at = statusTimes.get(name) ?? 0;
      // Whom the list has forgotten has left long ago: kept, it would speak against who comes back.
      if (!this.#standings.knows(name)) continue;
      this.#understood(() => {
        this.#time.witness(at);
        this.#after(name, this.#standings.hasLeft(name, at, this.#leaving));
      });
    }
    for (const [name, at] of statusTimes) {
      yield undefined;
      if (gone.has(name)) continue;
      this.#understood(() => {
        this.#time.witness(at);
        this.#standings.joins({ name, time: at });
      });
    }
    for (const told of events) {
      yield undefined;
      this.#understood(() => {
        this.#board.merge(told);
      });
    }
  }

  ackPayload(): Uint8Array {
    return encodeCoordinate(this.#place.coordinate);
  }

  onAnswer({ name }: MemberView, roundTripMs: number, payload: Uint8Array): void {
    this.#understood(() => {
      const other = decodeCoordinate(payload);
      if (other && this.#place.observe(name, other, roundTripMs / 1000))
        this.#coordinates.set(name, other);
    });
  }

  #isToBePassedOn(message: Uint8Array): boolean {
    switch (message[0]) {
      case SerfType.leave: {
        const intent = decodeLeave(message);
        this.#time.witness(intent.time);
        const outcome = this.#standings.leaves(intent, this.#leaving);
        // Rumours miss one now and then, and its goodbye follows at once.
        if (outcome === 'news' && this.#isSmall) this.#tell(message);
        return this.#after(intent.name, outcome);
      }
      case SerfType.join: {
        const intent = decodeJoin(message);
        this.#time.witness(intent.time);
        return this.#after(intent.name, this.#standings.joins(intent));
      }
      case SerfType.userEvent:
        return this.#board.onEvent(message);
      case SerfType.query:
        return this.#desk.onQuery(message);
      case SerfType.relay:
        this.#desk.onRelay(message);
        return false;
      default:
        return false;
    }
  }

  /** Whether the intent is to be passed on. */
  #after(name: string, outcome: IntentOutcome): boolean {
    if (outcome === 'refute') this.sayJoined();
    if (outcome === 'pruned') this.#options.onPruned?.(name);
    const view = this.#list?.member(name);
    if (outcome === 'left' && view)
      this.#options.onChange({ kind: 'leave', member: { ...view, state: 'left' } });
    return outcome !== 'old' && outcome !== 'refute';
  }

  /** Of those whom the list has forgotten nothing is kept. */
  *#forgettingStrangers(): Generator<undefined, void> {
    for (const name of this.#standings.names()) {
      yield undefined;
      if (!this.#list?.member(name)) this.#standings.forget(name);
    }
  }

  /** Few enough that everybody may tell everybody. */
  get #isSmall(): boolean {
    return (this.#list?.allMembers().length ?? 0) <= TOLD_DIRECTLY;
  }

  /** To some members directly, all of them in a small cluster: to whom the goodbye comes without it, this member failed. */
  #tell(message: Uint8Array): void {
    const here = this.#list?.allMembers().filter((view) => !isGone(view)) ?? [];
    const others = here.filter(({ name }) => name !== this.#options.name);
    for (const view of others.slice(0, TOLD_DIRECTLY)) this.#list?.sendBestEffort(view, message);
  }

  #say(message: Uint8Array): void {
    if (this.#fits(message)) void this.#list?.broadcast(message);
  }

  /** What others send over TCP may be larger than what can be passed on. */
  #fits(message: Uint8Array): boolean {
    const roomBytes = this.#list?.roomBytes ?? 0;
    if (message.length <= roomBytes) return true;
    this.#log.debug({ bytes: message.length, roomBytes }, 'too large to be passed on');
    return false;
  }

  /** Messages of programs that we don't know may look like anything. */
  #understood(what: () => void): void {
    try {
      what();
    } catch (error) {
      this.#notUnderstood(error);
    }
  }

  #notUnderstood(error: unknown): void {
    if (!(error instanceof WireError)) throw error;
    this.#list?.refuse(error);
  }
}
