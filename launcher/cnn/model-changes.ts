import type { Terminal } from '../terminal.js';
import { askEach } from './each-member.js';
import type { MemberOutcome } from './each-member.js';
import type { CnnMember, CnnMembers } from './members.js';
import { referenceText } from './model-reference.js';
import type { ModelReference } from './model-reference.js';
import { arrangementOf, bytesText } from './model-table.js';

/** What can be done to a model at every member. */
export type ModelChange = 'load' | 'unload' | 'pin' | 'unpin';

export interface ModelChangeOptions {
  readonly reference: ModelReference;
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** Does it at all CNN members at the same time and prints what became of it at each; returns the outcomes. */
export async function changeModel(
  members: CnnMembers,
  change: ModelChange,
  terminal: Terminal,
  { reference, json, signal }: ModelChangeOptions,
): Promise<readonly MemberOutcome<string>[]> {
  const outcomes = await askEach(members.some(), (member) =>
    DOING[change](members, member, reference, signal),
  );
  signal.throwIfAborted();
  if (json) terminal.printJson({ members: outcomes.map(outcomeData) });
  else
    for (const outcome of outcomes)
      if ('error' in outcome) terminal.fail(`${outcome.member}: ${outcome.error.message}`);
      else terminal.print(`${outcome.member}: ${outcome.answer}`);
  return outcomes;
}

type Doing = (
  members: CnnMembers,
  member: CnnMember,
  reference: ModelReference,
  signal: AbortSignal,
) => Promise<string>;

/** Each answers with what it did, for people. */
const DOING: Readonly<Record<ModelChange, Doing>> = {
  load: async (members, member, reference, signal) => {
    const model = await members.load(member, reference, signal);
    if (!model) return `${referenceText(reference)} is loaded`;
    const memory = model.memoryBytes > 0n ? `, ${bytesText(Number(model.memoryBytes))}` : '';
    const how = model.arrangement ? `, ${arrangementOf({ ...model })}` : '';
    return `${referenceText(model)} is loaded${memory}${how}`;
  },
  unload: async (members, member, reference, signal) => {
    await members.unload(member, reference, signal);
    const all = reference.version === 0 ? ' (all versions)' : '';
    return `${referenceText(reference)}${all} is unloaded`;
  },
  pin: async (members, member, reference, signal) => {
    await members.pin(member, reference, signal);
    return `calls for ${reference.name} get version ${String(reference.version)}`;
  },
  unpin: async (members, member, { name }, signal) => {
    await members.pin(member, { name, version: 0 }, signal);
    return `calls for ${name} get the newest version`;
  },
};

function outcomeData(outcome: MemberOutcome<string>): object {
  const { member } = outcome;
  return 'error' in outcome
    ? { member, error: outcome.error.message }
    : { member, done: outcome.answer };
}
