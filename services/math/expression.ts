import type * as mathjs from 'mathjs';

import { FractoryError, invalidArgument, limitExceeded, messageOf } from '../../runtime/errors.js';
import { ExactEvaluator, NotExact } from './exact-expression.js';
import type { MathLimits } from './limits.js';
import { toDecimal } from './rational.js';
import type { Evaluation, EvaluationType } from './service.js';
import { checkSyntax } from './syntax.js';
import type { Node } from './syntax.js';

/** What the library's bundle exports: `create` makes an instance with all functions. */
export interface Mathjs {
  create(): mathjs.MathJsInstance;
}

/** Significant digits of doubles: the last one or two are noise (0.1 + 0.2 of doubles is 0.30000000000000004). */
const PRECISION = 15;
const MAX_MESSAGE = 200;

/** Functions that could change the library or run text as code. The syntax check refuses them too; this is the second lock. */
const OFF = [
  'import createUnit evaluate parse compile parser simplify derivative config reviver replacer chain resolve help rationalize',
  'simplifyCore simplifyConstant leafCount symbolicEqual splitUnit',
].flatMap((names) => names.split(' '));

const TYPES: Readonly<Record<string, EvaluationType>> = {
  boolean: 'boolean',
  string: 'text',
  Complex: 'complex',
  Fraction: 'fraction',
  Unit: 'unit',
  DenseMatrix: 'matrix',
  SparseMatrix: 'matrix',
  Array: 'matrix',
  number: 'number',
  bigint: 'integer',
};

/**
 * Evaluates expressions in the syntax of mathjs. What stays within integers and fractions is exact at any size; everything else (roots,
 * logarithms, matrices, complex numbers, units) is mathjs's, in doubles, printed with 15 significant digits. Runs in a worker only: it
 * may compute for ever.
 */
export class ExpressionEvaluator {
  /** Keeps literals exact. */
  readonly #parser: mathjs.MathJsInstance;
  readonly #doubles: mathjs.MathJsInstance;
  readonly #parseDoubles: (expression: string) => mathjs.MathNode;
  readonly #format: (value: unknown, precision: number) => string;

  constructor(library: Mathjs) {
    this.#parser = library.create();
    this.#parser.config({ number: 'bigint', numberFallback: 'BigNumber' } as object);
    this.#doubles = library.create();
    // Held before they are switched off for expressions.
    this.#parseDoubles = this.#doubles.parse.bind(this.#doubles);
    this.#format = this.#doubles.format.bind(this.#doubles);
    switchOff(this.#doubles);
  }

  /** Errors: BAD_EXPRESSION, FUNCTION_OFF, LIMIT_EXCEEDED, DIVISION_BY_ZERO, TOO_DEEP. */
  evaluate(
    expression: string,
    variables: ReadonlyMap<string, string>,
    limits: MathLimits,
  ): Evaluation {
    try {
      const { result, type } = this.#evaluate(expression, variables, limits.max_result_digits);
      if (result.length > limits.max_result_digits + 1)
        throw limitExceeded(
          'max_result_digits',
          `${String(result.length)} characters`,
          limits.max_result_digits,
          { what: 'the result' },
        );
      return { result, type };
    } catch (error) {
      throw toExpressionError(error);
    }
  }

  #evaluate(
    expression: string,
    variables: ReadonlyMap<string, string>,
    maxDigits: number,
  ): Evaluation {
    const tree = this.#parser.parse(expression) as unknown as Node;
    const known = this.#doubles as unknown as Record<string, unknown>;
    checkSyntax(tree, (name) => name in known);
    try {
      const value = new ExactEvaluator(maxDigits).evaluate(tree, variables);
      if (typeof value === 'boolean') return { result: String(value), type: 'boolean' };
      return { result: toDecimal(value), type: value.den === 1n ? 'integer' : 'number' };
    } catch (error) {
      if (!(error instanceof NotExact)) throw error;
    }
    const scope = new Map<string, unknown>();
    for (const [name, text] of variables) scope.set(name, Number(text));
    return this.#print(this.#parseDoubles(expression).evaluate(scope as never));
  }

  #print(value: unknown): Evaluation {
    if (isResultSet(value)) return this.#print(value.entries.at(-1));
    const kind = this.#doubles.typeOf(value);
    const type = TYPES[kind];
    if (type === undefined)
      throw invalidArgument(
        'expression',
        'its value is no number, text, matrix or unit',
        'BAD_EXPRESSION',
      );
    if (typeof value === 'string') return { result: value, type };
    if (typeof value === 'number' && Number.isSafeInteger(value))
      return { result: String(value + 0), type: 'integer' };
    if (typeof value === 'number' && !Number.isFinite(value))
      throw invalidArgument(
        'expression',
        `its value is ${String(value)} as a double`,
        'NOT_FINITE',
      );
    return { result: this.#format(value, PRECISION), type };
  }
}

/** The values of several expressions with `;` or line ends between them. */
function isResultSet(value: unknown): value is { readonly entries: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'isResultSet' in value;
}

function switchOff(instance: mathjs.MathJsInstance): void {
  const refuse = (name: string) => (): never => {
    throw invalidArgument('expression', `"${name}" is off`, 'FUNCTION_OFF');
  };
  instance.import(Object.fromEntries(OFF.map((name) => [name, refuse(name)])), { override: true });
}

function toExpressionError(error: unknown): Error {
  if (error instanceof FractoryError) return error;
  if (error instanceof RangeError && /call stack/.test(error.message))
    return invalidArgument('expression', 'is nested too deeply', 'TOO_DEEP');
  const [line = ''] = messageOf(error).split('\n');
  return invalidArgument('expression', line.slice(0, MAX_MESSAGE), 'BAD_EXPRESSION');
}
