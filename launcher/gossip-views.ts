import { ControllerServiceClient, GossipState } from '../protos/gen/fractory/v1/controller.js';
import type { DescribeGossipResponse, GossipMember } from '../protos/gen/fractory/v1/controller.js';
import type { Member } from '../zookeeper/coordinator.js';
import type { NodeCalls } from './node-calls.js';

/** How a member is by gossip; `-` = gossip does not know it in the life that the coordinator lists. */
export type GossipWord = 'alive' | 'suspect' | 'dead' | 'left' | '-';

/** What one node says of all. */
export interface GossipAnswer {
  readonly from: string;
  readonly members: readonly GossipMember[];
}

/** What most nodes say, and where that is not what the coordinator says. */
export interface GossipReport {
  readonly asked: number;
  readonly answered: number;
  /** By member id, of those that the coordinator lists. */
  readonly words: ReadonlyMap<string, GossipWord>;
  /** Sentences for people. */
  readonly differences: readonly string[];
}

/** More would say nothing new. */
const MAX_ASKED = 9;

const WORDS: ReadonlyMap<GossipState, GossipWord> = new Map([
  [GossipState.ALIVE, 'alive'],
  [GossipState.SUSPECT, 'suspect'],
  [GossipState.DEAD, 'dead'],
  [GossipState.LEFT, 'left'],
]);

/** Asks several members what gossip says; undefined where nobody gossips. */
export async function gossipReport(
  members: readonly Member[],
  calls: NodeCalls,
  options: { readonly timeoutMs: number; readonly coordinator: string },
): Promise<GossipReport | undefined> {
  const gossiping = members.filter(({ gossipAddress }) => gossipAddress !== undefined);
  if (gossiping.length === 0) return undefined;
  const every = Math.max(1, gossiping.length / MAX_ASKED);
  const asked = gossiping.filter((_, at) => Math.floor(at / every) > Math.floor((at - 1) / every));
  const answers = await Promise.all(
    asked.map((member) => answerOf(member, calls, options.timeoutMs)),
  );
  const heard = answers.filter((answer) => answer !== undefined);
  return { asked: asked.length, ...compare(members, heard, options.coordinator) };
}

async function answerOf(
  { id, address }: Member,
  calls: NodeCalls,
  timeoutMs: number,
): Promise<GossipAnswer | undefined> {
  try {
    const { running, members } = await calls.unary<ControllerServiceClient, DescribeGossipResponse>(
      ControllerServiceClient,
      address,
      (client, { metadata, options, done }) => client.describeGossip({}, metadata, options, done),
      { timeoutMs },
    );
    return running ? { from: id, members } : undefined;
  } catch {
    // Who can't be asked has no say; the column of states tells how it is.
    return undefined;
  }
}

/** Holds what the coordinator lists against what nodes say. Pure. */
export function compare(
  members: readonly Member[],
  answers: readonly GossipAnswer[],
  coordinator: string,
): Omit<GossipReport, 'asked'> {
  const answered = answers.length;
  const words = new Map<string, GossipWord>();
  if (answered === 0) return { answered, words, differences: ['no node tells what gossip says'] };
  const differences: string[] = [];
  for (const member of members) {
    const opinion = opinionOf(member, answers);
    words.set(member.id, opinion.word);
    differences.push(...differencesOf(member, opinion, answers, coordinator));
  }
  return {
    answered,
    words,
    differences: [...differences, ...unlisted(members, answers, coordinator)],
  };
}

interface Opinion {
  readonly word: GossipWord;
  /** The longest time that any of those says who say so. */
  readonly forMs: number;
  /** Who says what, where not all say the same. */
  readonly split: ReadonlyMap<GossipWord, readonly string[]>;
}

/** What most say of one life of a member. Its own word counts only where there is no other: each believes that it lives. */
function opinionOf({ id, epoch }: Member, answers: readonly GossipAnswer[]): Opinion {
  const others = answers.filter(({ from }) => from !== id);
  const split = new Map<GossipWord, string[]>();
  const longest = new Map<GossipWord, number>();
  for (const { from, members } of others.length > 0 ? others : answers) {
    const found = members.find((one) => one.id === id && one.epoch === epoch);
    const word = (found && WORDS.get(found.state)) ?? '-';
    split.set(word, [...(split.get(word) ?? []), from]);
    longest.set(word, Math.max(longest.get(word) ?? 0, Number(found?.stateMs ?? 0n)));
  }
  const [most] = [...split].sort(([, one], [, other]) => other.length - one.length);
  const word = most?.[0] ?? '-';
  return { word, forMs: longest.get(word) ?? 0, split };
}

function differencesOf(
  { id, gossipAddress, epoch }: Member,
  { word, forMs, split }: Opinion,
  answers: readonly GossipAnswer[],
  coordinator: string,
): string[] {
  const lines: string[] = [];
  if (word === 'dead')
    lines.push(`gossip holds ${id} dead for ${durationText(forMs)}, ${coordinator} still lists it`);
  if (word === 'left')
    lines.push(`${id} left gossip ${durationText(forMs)} ago, ${coordinator} still lists it`);
  if (word === '-') {
    const other = answers
      .flatMap(({ members }) => members)
      .find((one) => one.id === id && one.epoch !== epoch && one.state === GossipState.ALIVE);
    if (gossipAddress === undefined) lines.push(`${id} does not gossip, ${coordinator} lists it`);
    else if (other)
      lines.push(
        `gossip holds ${id} alive in epoch ${String(other.epoch)}, ${coordinator} lists it in epoch ${String(epoch)}`,
      );
    else lines.push(`gossip does not know ${id}, ${coordinator} lists it`);
  }
  // Some hear of it a moment later; a suspicion comes and goes.
  const sides = [...split].filter(([side]) => side !== 'suspect' || word === 'suspect');
  if (sides.length > 1) {
    const said = sides.map(([side, from]) => `${textOf(side)} by ${from.join(', ')}`);
    lines.push(`nodes disagree about ${id}: ${said.join('; ')}`);
  }
  return lines;
}

/** Members that live by gossip, and that the coordinator lists in no life. */
function unlisted(
  members: readonly Member[],
  answers: readonly GossipAnswer[],
  coordinator: string,
): string[] {
  const listed = new Set(members.map(({ id }) => id));
  const alive = answers
    .flatMap((answer) => answer.members)
    .filter(({ id, state }) => state === GossipState.ALIVE && !listed.has(id))
    .map(({ id }) => id);
  return [...new Set(alive)].map(
    (id) => `gossip holds ${id} alive, ${coordinator} does not list it`,
  );
}

function textOf(word: GossipWord): string {
  return word === '-' ? 'not known' : `held ${word}`;
}

function durationText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 120_000
    ? `${String(Math.round(ms / 1000))} s`
    : `${String(Math.round(ms / 60_000))} min`;
}
