import type { Device } from '../../../../controllers/kernel/device.js';
import type { Value } from '../../../../protos/gen/fractory/v1/value.js';
import { bytesValue, integerValue, listValue, toPlain } from '../../../../protos/values.js';
import type { ValueKind } from '../../../../protos/values.js';
import { invalidArgument, unavailable } from '../../../../runtime/errors.js';
import type { Arguments, InvocationContext, Operation } from '../../../../services/adaptor.js';
import { KeptResult } from '../../../../services/content.js';
import type { Content, ContentRange, ReadContentOptions } from '../../../../services/content.js';
import { integerOf } from '../kernels.js';

/** Several chunks. */
export const KEPT_BYTES = 1_500_000;

type Performed = ReturnType<Operation['perform']>;

/** A math device whose work hangs for as long as it is stuck, and that says what happens in it. */
export class Workshop {
  /** `math.hang`, and reading kept content after its first chunk, go on for ever; `math.away` fails. */
  isStuck = false;
  /** Whether content is among what gets stuck. */
  isSticky = true;
  /** Size of what `math.kept` keeps: above the inline limit. */
  keptBytes = KEPT_BYTES;
  /** `begun STEP`, `aborted STEP`, `reading STEP`, `cut STEP`, `disposed STEP`, in their order. */
  readonly events: string[] = [];
  readonly #onEvent: (event: string) => void;

  constructor(onEvent: (event: string) => void) {
    this.#onEvent = onEvent;
  }

  device(): Device {
    return {
      ...{ adaptor: { type: 'math', operations: this.#operations() }, services: [] },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  tell(event: string): void {
    this.events.push(event);
    this.#onEvent(event);
  }

  /** Content that was read from or kept and is not disposed of. */
  get open(): number {
    const count = (what: string): number =>
      this.events.filter((event) => event.startsWith(what)).length;
    return count('kept ') - count('disposed ');
  }

  #operations(): Operation[] {
    const bytes = bytesValue('application/octet-stream', new Uint8Array(0));
    return [
      this.#operation('math.add', { input: ['integer'] }, (args) =>
        integerValue(integerOf(args) + 1n),
      ),
      this.#operation('math.join', { left: ['integer'], right: ['integer'] }, (args) =>
        integerValue(integerOf(args, 'left') + integerOf(args, 'right')),
      ),
      this.#operation('math.sum', { input: ['list'] }, (args) =>
        integerValue(
          (toPlain(args.get('input')) as string[]).reduce((sum, x) => sum + BigInt(x), 0n),
        ),
      ),
      this.#operation(
        'math.split',
        { input: ['integer'] },
        (args) => listValue(elements(Number(integerOf(args)))),
        ['list'],
      ),
      this.#operation('math.hang', { input: ['integer'] }, (args, context) =>
        this.isStuck ? this.#hang(context) : args.get('input')!,
      ),
      this.#operation('math.away', { input: ['integer'] }, (args) =>
        this.isStuck ? Promise.reject(unavailable('AWAY', 'it is away')) : args.get('input')!,
      ),
      this.#operation('math.broken', { input: ['integer'] }, () => {
        throw invalidArgument('input', 'is not what it was', 'BROKEN');
      }),
      this.#operation('math.note', { input: ['failure', 'integer'] }, (args) => {
        const kind = args.get('input')?.kind;
        this.tell(`noted ${kind?.$case === 'failure' ? kind.value.reason : 'a result'}`);
        return integerValue(0n);
      }),
      this.#operation(
        'math.kept',
        { input: ['integer'] },
        (_args, context) =>
          new KeptResult(this.#content(Buffer.alloc(this.keptBytes, 7), context), bytes),
        ['bytes'],
      ),
      this.#operation('math.length', { input: ['bytes'] }, (args) => {
        const kind = args.get('input')?.kind;
        return integerValue(BigInt(kind?.$case === 'bytes' ? kind.value.data.length : -1));
      }),
      this.#operation('math.measure', { input: ['bytes'] }, measure, ['integer'], true),
    ];
  }

  #content(data: Uint8Array, context: InvocationContext): Content {
    const step = stepOf(context);
    this.tell(`kept ${step}`);
    return new StickyContent(data, step, this);
  }

  #hang(context: InvocationContext): Promise<Value> {
    return new Promise((_resolve, reject) => {
      context.signal.addEventListener('abort', () => {
        this.tell(`aborted ${stepOf(context)}`);
        reject(context.signal.reason as Error);
      });
    });
  }

  #operation(
    name: string,
    args: Record<string, readonly ValueKind[]>,
    perform: (args: Arguments, context: InvocationContext) => Performed,
    output: readonly ValueKind[] = ['integer'],
    streamed = false,
  ): Operation {
    return {
      spec: {
        ...{ name, summary: '', idempotent: true, output },
        arguments: Object.entries(args).map(([argument, kinds]) => ({
          ...{ name: argument, summary: '', kinds, required: true, streamed },
        })),
      },
      perform: (given, context) => {
        this.tell(`begun ${stepOf(context)}`);
        return perform(given, context);
      },
    };
  }
}

/** Kept content that stops after its first chunk while its workshop is stuck. */
class StickyContent implements Content {
  readonly #data: Uint8Array;
  readonly #step: string;
  readonly #workshop: Workshop;

  constructor(data: Uint8Array, step: string, workshop: Workshop) {
    this.#data = data;
    this.#step = step;
    this.#workshop = workshop;
  }

  get sizeBytes(): number {
    return this.#data.length;
  }

  async *read(
    { offset, length }: ContentRange,
    { chunkBytes, signal }: ReadContentOptions,
  ): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; at += chunkBytes) {
      if (at > offset && this.#workshop.isStuck && this.#workshop.isSticky)
        await this.#stop(signal);
      yield this.#data.slice(at, Math.min(at + chunkBytes, offset + length));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#workshop.tell(`disposed ${this.#step}`);
    return Promise.resolve();
  }

  #stop(signal: AbortSignal): Promise<never> {
    this.#workshop.tell(`reading ${this.#step}`);
    return new Promise((_resolve, reject) => {
      const onAbort = (): void => {
        this.#workshop.tell(`cut ${this.#step}`);
        reject(signal.reason as Error);
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** Counts the bytes of a stream. */
async function measure(args: Arguments, context: InvocationContext): Promise<Value> {
  let bytes = 0;
  for await (const chunk of context.stream(args.get('input')!)) bytes += chunk.length;
  return integerValue(BigInt(bytes));
}

export function elements(count: number): Value[] {
  return Array.from({ length: count }, (_, index) => integerValue(BigInt(index)));
}

const stepOf = ({ step }: InvocationContext): string => step?.step ?? '';
