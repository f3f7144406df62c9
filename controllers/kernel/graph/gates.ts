import { status } from '@grpc/grpc-js';

import type { Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import type { Argument, Value } from '../../../protos/gen/fractory/v1/value.js';
import { listValue } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { denied } from '../capabilities/caveats.js';
import { INPUT } from './continuation.js';

/** What has come to a step with several edges in. */
export interface Gate {
  readonly inputs: readonly string[];
  /** The first invocation, with the receipts of all, the longest path and when the last was sent. Once the step has begun, only what identifies it. */
  invocation: Invocation;
  /** What is among those receipts. */
  readonly knownReceipts: Set<string>;
  readonly values: Map<string, Value>;
  /** The step has begun: what comes now is too much. */
  hasFired: boolean;
  /** Forgets the gate at its time. */
  cancelTimer: () => void;
  /** Takes the gate out of what a release finds. */
  unregister: () => void;
}

export type Contribution =
  | { readonly kind: 'fired'; readonly gate: Gate; readonly invocation: Invocation }
  | { readonly kind: 'waits'; readonly gate: Gate; readonly isNew: boolean }
  | { readonly kind: 'too late' };

/** Steps that wait for inputs, and those that began, until their run needs them no more: a step begins once in each attempt. */
export class Gates {
  readonly #gates = new Map<string, Gate>();
  #waiting = 0;

  get size(): number {
    return this.#gates.size;
  }

  /** Gates that still wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Adds what an invocation brings. Throws for an input that the gate doesn't wait for. */
  contribute(key: string, inputs: readonly string[], invocation: Invocation): Contribution {
    for (const { name } of invocation.arguments)
      if (!inputs.includes(name))
        throw denied(`the step waits for ${inputs.join(', ')}, not ${name}`);
    const known = this.#gates.get(key);
    if (known?.hasFired) return { kind: 'too late' };
    const gate = known ?? newGate(inputs, invocation);
    take(gate, invocation, known !== undefined);
    if (!known) {
      this.#gates.set(key, gate);
      this.#waiting++;
    }
    if (gate.values.size < new Set(inputs).size)
      return { kind: 'waits', gate, isNew: known === undefined };
    return { kind: 'fired', gate, invocation: this.#fire(gate) };
  }

  /** Forgets a gate, whether it waits or not. */
  remove(key: string): Gate | undefined {
    const gate = this.#gates.get(key);
    if (!gate) return undefined;
    this.#gates.delete(key);
    if (!gate.hasFired) this.#waiting--;
    gate.cancelTimer();
    gate.unregister();
    return gate;
  }

  /** Forgets all; returns those that still waited. */
  clear(): Gate[] {
    const gates = [...this.#gates.keys()].flatMap((key) => this.remove(key) ?? []);
    return gates.filter(({ hasFired }) => !hasFired);
  }

  /** What is kept of a gate that is shut is small: it may be there for as long as the run. */
  #fire(gate: Gate): Invocation {
    const complete = { ...gate.invocation, arguments: argumentsOf(gate) };
    gate.hasFired = true;
    this.#waiting--;
    gate.invocation = { ...complete, ...EMPTY };
    gate.values.clear();
    gate.knownReceipts.clear();
    return complete;
  }
}

const EMPTY: Pick<Invocation, 'arguments' | 'onSuccess' | 'onFailure' | 'shared' | 'receipts'> = {
  arguments: [],
  onSuccess: [],
  onFailure: [],
  shared: [],
  receipts: [],
};

/** What a gate that nobody keeps yet has in place of `cancelTimer` and `unregister`. */
export const NOTHING = (): void => undefined;

/** Why a gate that never got all its inputs fails its run. */
export function incomplete({ inputs, values }: Gate): FractoryError {
  const missing = inputs.filter((name) => !values.has(name));
  return new FractoryError(
    status.DEADLINE_EXCEEDED,
    'JOIN_INCOMPLETE',
    `the step waited for ${missing.join(', ')} until the time of the run was used up`,
  );
}

function newGate(inputs: readonly string[], invocation: Invocation): Gate {
  return {
    inputs,
    invocation: { ...invocation, receipts: [...invocation.receipts] },
    knownReceipts: new Set(invocation.receipts.map(textOf)),
    values: new Map(),
    hasFired: false,
    cancelTimer: NOTHING,
    unregister: NOTHING,
  };
}

/** The first value for an input counts; of two paths the longer counts, and when the last was sent and the time that is left now. */
function take(gate: Gate, invocation: Invocation, isLater: boolean): void {
  for (const { name, value } of invocation.arguments)
    if (value && !gate.values.has(name)) gate.values.set(name, value);
  const { invocation: first } = gate;
  first.budgetMs = invocation.budgetMs;
  first.sentAtUs = invocation.sentAtUs;
  if (!isLater) return;
  first.hops = Math.max(first.hops, invocation.hops);
  addReceipts(first.receipts, invocation.receipts, gate.knownReceipts);
}

/** Paths that meet share the receipts of what lay before they parted. `known`: what is among `receipts`, for those who add more than once. */
export function addReceipts(
  receipts: Uint8Array[],
  added: readonly Uint8Array[],
  known = new Set(receipts.map(textOf)),
): void {
  for (const receipt of added) {
    const text = textOf(receipt);
    if (known.has(text)) continue;
    known.add(text);
    receipts.push(receipt);
  }
}

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

const ELEMENT = /^(.*)\[(\d+)\]$/;

/** `input[0]`, `input[1]`, ... become one list. */
function argumentsOf({ inputs, values }: Gate): Argument[] {
  const complete: Argument[] = [];
  const lists = new Map<string, { position: number; value: Value }[]>();
  for (const input of inputs) {
    const value = values.get(input);
    if (!value) continue;
    const [, name = INPUT, position] = ELEMENT.exec(input) ?? [];
    if (position === undefined) {
      complete.push({ name: input, value });
      continue;
    }
    const list = lists.get(name) ?? [];
    list.push({ position: Number(position), value });
    lists.set(name, list);
  }
  for (const [name, list] of lists) {
    list.sort((one, other) => one.position - other.position);
    complete.push({ name, value: listValue(list.map(({ value }) => value)) });
  }
  return complete;
}
