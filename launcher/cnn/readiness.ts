import { status } from '@grpc/grpc-js';

import type { Model } from '../../protos/gen/fractory/v1/cnn.js';
import { MAX_MESSAGE_BYTES } from '../../runtime/channels.js';
import { sleep } from '../../runtime/deadline.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import { askEach } from './each-member.js';
import type { MemberOutcome } from './each-member.js';
import type { CnnMember, CnnMembers } from './members.js';
import { referenceText } from './model-reference.js';
import type { ModelReference } from './model-reference.js';
import type { SizeLimit } from './predictor.js';

/** What a member says before it is asked about pictures. */
export interface MemberView {
  readonly models: readonly Model[];
  readonly limits: Readonly<Record<string, bigint>>;
}

/** What is known of the members before the first picture. */
export interface Readiness {
  readonly sizeLimit: SizeLimit;
  /** Ids of those that don't have the model. */
  readonly unfit: ReadonlySet<string>;
}

/** How long a command waits for a CNN node that died and is started again, ms. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 200;
/** What a request holds besides the picture. */
const REQUEST_BYTES = 64 * 1024;
const LIMIT = 'max_image_bytes';

/** Asks all members for their models and limits, as soon as one of them answers. UNAVAILABLE if none does; NOT_FOUND if none has the model. */
export async function lookAround(
  members: CnnMembers,
  model: ModelReference | undefined,
  signal: AbortSignal,
): Promise<Readiness> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const outcomes = await askEach(members.list(), (member) => viewOf(members, member, signal));
    signal.throwIfAborted();
    const views = outcomes.flatMap((outcome) => ('answer' in outcome ? [outcome] : []));
    if (views.length > 0)
      return { sizeLimit: smallestLimit(views), unfit: model ? unfitFor(model, views) : new Set() };
    if (!mayPass(outcomes) || performance.now() > untilMs) throw noneAnswers(members, outcomes);
    await sleep(LOOK_MS, signal);
  }
}

type Seen = Extract<MemberOutcome<MemberView>, { readonly answer: MemberView }>;

async function viewOf(
  members: CnnMembers,
  member: CnnMember,
  signal: AbortSignal,
): Promise<MemberView> {
  const [models, limits] = await Promise.all([
    members.models(member, signal),
    members.limits(member, signal),
  ]);
  return { models, limits };
}

/** A node that has just died is started again; one that refuses will refuse again. */
function mayPass(outcomes: readonly MemberOutcome<unknown>[]): boolean {
  return outcomes.every((outcome) => 'error' in outcome && isSilence(outcome.error));
}

function noneAnswers(members: CnnMembers, outcomes: readonly MemberOutcome<unknown>[]): Error {
  members.some();
  const failures = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []));
  const refusal = failures.find(({ error }) => !isSilence(error));
  if (refusal) return refusal.error;
  const why = failures.map(({ member, error }) => `: ${member}: ${error.message}`)[0] ?? '';
  return unavailable('CNN_UNREACHABLE', `no CNN node answers${why}`);
}

function isSilence({ code }: FractoryError): boolean {
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED;
}

function smallestLimit(views: readonly Seen[]): SizeLimit {
  const wire = { bytes: MAX_MESSAGE_BYTES - REQUEST_BYTES, name: 'of a request' };
  return views.reduce<SizeLimit>((smallest, { member, answer }) => {
    const bytes = Number(answer.limits[LIMIT] ?? Infinity);
    return bytes < smallest.bytes ? { bytes, name: `${LIMIT} of ${member}` } : smallest;
  }, wire);
}

function unfitFor(model: ModelReference, views: readonly Seen[]): ReadonlySet<string> {
  const unfit = views.filter(({ answer }) => !isThere(model, answer.models));
  if (unfit.length === views.length) throw missing(model, views);
  return new Set(unfit.map(({ member }) => member));
}

/** One that is broken on disk may still be in memory, and serve. */
function isThere({ name, version }: ModelReference, models: readonly Model[]): boolean {
  return models.some(
    (model) =>
      model.name === name &&
      (version === 0 || model.version === version) &&
      (model.state === 'ready' || model.loaded),
  );
}

/** Why no member can answer for a model. */
function missing(reference: ModelReference, views: readonly Seen[]): FractoryError {
  const { name, version } = reference;
  const all = views.flatMap(({ answer }) => answer.models);
  const named = all.filter((model) => model.name === name);
  const broken = named.find((model) => version === 0 || model.version === version);
  if (broken)
    return new FractoryError(
      status.FAILED_PRECONDITION,
      broken.state === 'unloaded' ? 'MODEL_UNLOADED' : 'MODEL_CORRUPT',
      broken.state === 'unloaded'
        ? `model ${referenceText(reference)} was unloaded; ./datacenter models load ${referenceText(reference)} loads it`
        : `model ${referenceText(reference)} can't be used: ${broken.state}`,
    );
  const near = named.length > 0 ? undefined : closest(name, [...new Set(all.map((m) => m.name))]);
  const versions = [...new Set(named.map((model) => model.version))].sort((a, b) => a - b);
  const hint =
    versions.length > 0
      ? `there are ${name}@${versions.join(`, ${name}@`)}`
      : near === undefined
        ? './datacenter models lists them'
        : `did you mean ${near}?`;
  return new FractoryError(
    status.NOT_FOUND,
    'MODEL_NOT_FOUND',
    `there is no model ${referenceText(reference)} (${hint})`,
  );
}
