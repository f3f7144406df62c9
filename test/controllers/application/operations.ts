import { status } from '@grpc/grpc-js';

import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { bytesValue, integerValue, kindOf, listValue } from '../../../protos/values.js';
import type { ValueKind } from '../../../protos/values.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import type { Arguments, InvocationContext, Operation } from '../../../services/adaptor.js';
import { integerOf } from '../kernel/kernels.js';

/** Small operations for graphs of every form; remembers what was done for which step of which run. */
export class Operations {
  /** `run/step`, in the order in which they began. */
  readonly begun: string[] = [];
  /** Steps whose work was aborted. */
  readonly aborted: string[] = [];
  /** Whether `math.stuck` never ends here. */
  isStuck = false;
  readonly #tries = new Map<string, number>();

  get all(): Operation[] {
    return [
      this.#operation('math.add', { input: ['integer'], by: ['integer'] }, (args) =>
        integerValue(integerOf(args) + (args.has('by') ? integerOf(args, 'by') : 1n)),
      ),
      this.#operation('math.join', { left: ['integer'], right: ['integer'] }, (args) =>
        integerValue(integerOf(args, 'left') * 10n + integerOf(args, 'right')),
      ),
      this.#operation('math.sum', { input: ['list'] }, (args) =>
        integerValue(sumOf(args.get('input'))),
      ),
      this.#operation(
        'math.split',
        { input: ['integer'] },
        (args) =>
          listValue(
            Array.from({ length: Number(integerOf(args)) }, (_, index) =>
              integerValue(BigInt(index)),
            ),
          ),
        ['list'],
      ),
      this.#operation('math.even', { input: ['integer'] }, (args) => {
        const input = integerOf(args);
        if (input % 2n === 0n) return integerValue(input);
        throw new FractoryError(status.FAILED_PRECONDITION, 'ODD', `${String(input)} is odd`);
      }),
      this.#operation('math.rescue', { input: ['failure'] }, (args) => {
        const kind = args.get('input')?.kind;
        if (kind?.$case !== 'failure') throw new Error('not a failure');
        return integerValue(kind.value.reason === 'ODD' ? -1n : -2n);
      }),
      this.#operation('math.worse', { input: ['failure'] }, () => {
        throw new FractoryError(status.FAILED_PRECONDITION, 'WORSE', 'it got worse');
      }),
      this.#operation(
        'math.blob',
        { input: ['integer'] },
        (args) => bytesValue('application/octet-stream', Buffer.alloc(Number(integerOf(args)), 7)),
        ['bytes'],
      ),
      this.#operation('math.length', { input: ['bytes', 'list'] }, (args) =>
        integerValue(BigInt(lengthOf(args.get('input')))),
      ),
      // Fails for want of another node until it has been tried three times.
      this.#operation('math.flaky', { input: ['integer'] }, (args, context) => {
        const key = keyOf(context);
        const tries = (this.#tries.get(key) ?? 0) + 1;
        this.#tries.set(key, tries);
        if (tries < 3)
          return Promise.reject(new FractoryError(status.ABORTED, 'BUSY', 'try again'));
        return Promise.resolve(args.get('input')!);
      }),
      this.#operation('math.stuck', { input: ['integer'] }, (args) =>
        this.isStuck ? new Promise<Value>(() => undefined) : args.get('input')!,
      ),
      this.#operation('math.away', { input: ['integer'] }, () => {
        throw unavailable('AWAY', 'it is away');
      }),
      // Never ends by itself; hears when nobody needs it any more.
      this.#operation(
        'math.hang',
        { input: ['integer'] },
        (_args, context) =>
          new Promise<Value>((_resolve, reject) => {
            context.signal.addEventListener('abort', () => {
              this.aborted.push(keyOf(context));
              reject(context.signal.reason as Error);
            });
          }),
      ),
    ];
  }

  #operation(
    name: string,
    args: Record<string, readonly ValueKind[]>,
    perform: (args: Arguments, context: InvocationContext) => Value | Promise<Value>,
    output: readonly ValueKind[] = ['integer'],
  ): Operation {
    return {
      spec: {
        ...{ name, summary: '', idempotent: true, output },
        arguments: Object.entries(args).map(([argument, kinds]) => ({
          ...{ name: argument, summary: '', kinds, required: argument !== 'by' },
        })),
      },
      perform: (given, context) => {
        this.begun.push(keyOf(context));
        return perform(given, context);
      },
    };
  }
}

const keyOf = ({ step }: InvocationContext): string => `${step?.run ?? ''}/${step?.step ?? ''}`;

function sumOf(value: Value | undefined): bigint {
  const kind = value?.kind;
  if (kind?.$case === 'integer') return BigInt(kind.value);
  if (kind?.$case !== 'list') throw new Error(`${kindOf(value) ?? 'nothing'} has no sum`);
  return kind.value.values.reduce((sum, one) => sum + sumOf(one), 0n);
}

function lengthOf(value: Value | undefined): number {
  const kind = value?.kind;
  if (kind?.$case === 'bytes') return kind.value.data.length;
  if (kind?.$case !== 'list') throw new Error(`${kind?.$case ?? 'nothing'} has no length`);
  return kind.value.values.reduce((sum, one) => sum + lengthOf(one), 0);
}
