/** What one client did once: when it asked, and what it was told when. */
export interface Call<I, O> {
  readonly input: I;
  /** Absent = it was never told, so the effect may have come at any time after it asked, or never. */
  readonly output?: O | undefined;
  /** On one clock that never goes back. */
  readonly calledAt: number;
  /** After `calledAt`; means nothing without an output. */
  readonly answeredAt: number;
}

/** What a thing that does one call after the other would answer. */
export interface Model<S, I, O> {
  readonly initial: S;
  /** The same for states that behave the same. */
  key(state: S): string;
  /** The state after a call with this answer; undefined if it can't answer so. Without an answer: the state after the effect. */
  step(state: S, input: I, output: O | undefined): S | undefined;
}

export type Verdict<I, O> =
  | { readonly isLinearizable: true; readonly order: readonly Call<I, O>[] }
  /** `longest`: as far as any order came; `stuck`: the calls of which one would have to be next. */
  | {
      readonly isLinearizable: false;
      readonly longest: readonly Call<I, O>[];
      readonly stuck: readonly Call<I, O>[];
    };

interface Entry<I, O> {
  readonly call: Call<I, O>;
  readonly index: number;
  /** The end of the call; absent for ends, and for calls that were never answered. */
  end: Entry<I, O> | undefined;
  readonly isEnd: boolean;
  previous: Entry<I, O> | undefined;
  next: Entry<I, O> | undefined;
}

/**
 * Whether there is an order of the calls, each between its question and its answer, in which the model answers so (Herlihy and Wing, "Linearizability",
 * TOPLAS 1990). The search is that of Wing and Gong (1993) with the memory of Lowe, "Testing for linearizability" (2017): a set of calls that
 * has led to a state once is not tried again.
 */
export function checkLinearizable<S, I, O>(
  calls: readonly Call<I, O>[],
  model: Model<S, I, O>,
): Verdict<I, O> {
  const head = entriesOf(calls);
  const done = new Bits(calls.length);
  const seen = new Set<string>();
  const stack: { readonly entry: Entry<I, O>; readonly before: S }[] = [];
  let longest: readonly Call<I, O>[] = [];
  let stuck: readonly Call<I, O>[] = callsBeforeEnd(head);
  let state = model.initial;
  let open = calls.filter(({ output }) => output !== undefined).length;
  let entry = head.next;
  while (open > 0) {
    if (entry && !entry.isEnd) {
      const { call, index } = entry;
      const after = model.step(state, call.input, call.output);
      if (after !== undefined && isNew(seen, done, index, model.key(after))) {
        stack.push({ entry, before: state });
        state = after;
        done.set(index, true);
        lift(entry);
        if (call.output !== undefined) open--;
        if (stack.length > longest.length) {
          longest = stack.map((one) => one.entry.call);
          stuck = callsBeforeEnd(head);
        }
        entry = head.next;
      } else entry = entry.next;
      continue;
    }
    const last = stack.pop();
    if (!last) return { isLinearizable: false, longest, stuck };
    state = last.before;
    done.set(last.entry.index, false);
    unlift(last.entry);
    if (last.entry.call.output !== undefined) open++;
    entry = last.entry.next;
  }
  return { isLinearizable: true, order: stack.map((one) => one.entry.call) };
}

/** Questions and answers in order of time, as a list that calls can be taken out of and put back into. */
function entriesOf<I, O>(calls: readonly Call<I, O>[]): Entry<I, O> {
  const none = undefined;
  const events = calls.flatMap((call, index) => {
    const links = { call, index, previous: none, next: none };
    const start: Entry<I, O> = { ...links, end: none, isEnd: false };
    if (call.output === undefined) return [{ at: call.calledAt, entry: start }];
    if (call.answeredAt < call.calledAt) throw new Error('a call was answered before it was made');
    const end: Entry<I, O> = { ...links, end: none, isEnd: true };
    start.end = end;
    return [
      { at: call.calledAt, entry: start },
      { at: call.answeredAt, entry: end },
    ];
  });
  // What happens at one moment may be in any order: questions come first.
  events.sort((a, b) => a.at - b.at || Number(a.entry.isEnd) - Number(b.entry.isEnd));
  const head = { isEnd: false, index: -1 } as Entry<I, O>;
  let last = head;
  for (const { entry } of events) {
    entry.previous = last;
    last.next = entry;
    last = entry;
  }
  return head;
}

function callsBeforeEnd<I, O>(head: Entry<I, O>): Call<I, O>[] {
  const calls: Call<I, O>[] = [];
  for (let { next } = head; next && !next.isEnd; { next } = next) calls.push(next.call);
  return calls;
}

function isNew(seen: Set<string>, done: Bits, index: number, key: string): boolean {
  done.set(index, true);
  const text = `${done.text} ${key}`;
  done.set(index, false);
  if (seen.has(text)) return false;
  seen.add(text);
  return true;
}

function lift<I, O>(entry: Entry<I, O>): void {
  for (const one of [entry, entry.end]) {
    if (!one) continue;
    if (one.previous) one.previous.next = one.next;
    if (one.next) one.next.previous = one.previous;
  }
}

function unlift<I, O>(entry: Entry<I, O>): void {
  for (const one of [entry.end, entry]) {
    if (!one) continue;
    if (one.previous) one.previous.next = one;
    if (one.next) one.next.previous = one;
  }
}

class Bits {
  readonly #words: Uint32Array;

  constructor(length: number) {
    this.#words = new Uint32Array(Math.ceil(length / 32) || 1);
  }

  get text(): string {
    return this.#words.join();
  }

  set(index: number, value: boolean): void {
    const mask = 1 << (index & 31);
    const word = this.#words[index >>> 5] ?? 0;
    this.#words[index >>> 5] = value ? word | mask : word & ~mask;
  }
}
