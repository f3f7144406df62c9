import { invalidArgument } from '../../runtime/errors.js';
import { binomial, factorial, gcd, productOf } from './exact.js';
import { checkDigits, log10Factorial, log10Of } from './integers.js';
import * as rational from './rational.js';
import type { Rational } from './rational.js';
import type { Node } from './syntax.js';

/** What stays exact: fractions and truth values. */
export type ExactValue = Rational | boolean;

/** Thrown where an expression leaves the exact numbers; `evaluate` then goes on with doubles. */
export class NotExact extends Error {}

/** Calls of the expression's own functions inside of each other. */
const MAX_CALLS = 1000;
/** Digits after which fractions that are not whole go on as doubles: 1.0000001^1000000. */
const MAX_FRACTION_DIGITS = 4000;

interface DefinedFunction {
  readonly params: readonly string[];
  readonly body: Node;
}

/** Names of an expression; functions and variables of its own. */
interface Scope {
  readonly values: Map<string, ExactValue>;
  readonly functions: Map<string, DefinedFunction>;
  readonly calls: number;
}

const ORDER: Readonly<Record<string, (order: number) => boolean>> = {
  equal: (order) => order === 0,
  unequal: (order) => order !== 0,
  smaller: (order) => order < 0,
  smallerEq: (order) => order <= 0,
  larger: (order) => order > 0,
  largerEq: (order) => order >= 0,
};

/**
 * Evaluates the part of mathjs's language that deals with integers and fractions, exactly at any size up to a limit: + - * / ^ ! mod,
 * shifts, comparisons, conditions, rounding, gcd, combinations, variables and functions of the expression's own.
 */
export class ExactEvaluator {
  readonly #maxDigits: number;

  constructor(maxDigits: number) {
    this.#maxDigits = maxDigits;
  }

  /** Throws NotExact where the expression needs more than exact numbers. */
  evaluate(tree: Node, variables: ReadonlyMap<string, string>): ExactValue {
    const values = new Map<string, ExactValue>();
    for (const [name, text] of variables) values.set(name, rational.parseRational(text));
    return this.#value(tree, { values, functions: new Map(), calls: 0 });
  }

  #value(node: Node, scope: Scope): ExactValue {
    switch (node.type) {
      case 'ConstantNode':
        return constant(node.value);
      case 'SymbolNode': {
        const value = scope.values.get(node.name);
        if (value === undefined) throw new NotExact(node.name);
        return value;
      }
      case 'ParenthesisNode':
        return this.#value(node.content, scope);
      case 'OperatorNode':
        return this.#apply(node.fn, node.args, scope);
      case 'FunctionNode':
        return this.#call(node.fn, node.args, scope);
      case 'RelationalNode':
        return this.#relation(node.conditionals, node.params, scope);
      case 'ConditionalNode':
        return this.#value(
          this.#truth(node.condition, scope) ? node.trueExpr : node.falseExpr,
          scope,
        );
      case 'AssignmentNode': {
        if (node.object.type !== 'SymbolNode' || node.index) throw new NotExact(node.type);
        const value = this.#value(node.value, scope);
        scope.values.set(node.object.name, value);
        return value;
      }
      case 'BlockNode':
        return this.#block(node.blocks, scope);
      case 'FunctionAssignmentNode':
      case 'AccessorNode':
      case 'ArrayNode':
      case 'IndexNode':
      case 'ObjectNode':
      case 'RangeNode':
      case 'OtherNode':
      default:
        throw new NotExact(node.type);
    }
  }

  #block(blocks: readonly { readonly node: Node }[], scope: Scope): ExactValue {
    let last: ExactValue | undefined;
    for (const { node } of blocks) {
      if (node.type === 'FunctionAssignmentNode')
        scope.functions.set(node.name, { params: node.params, body: node.expr });
      else last = this.#value(node, scope);
    }
    if (last === undefined) throw new NotExact('block');
    return last;
  }

  #relation(names: readonly string[], params: readonly Node[], scope: Scope): boolean {
    const values = params.map((param) => this.#number(param, scope));
    return names.every((name, at) => {
      const [left, right] = [values[at], values[at + 1]];
      const holds = ORDER[name];
      if (!left || !right || !holds) throw new NotExact(name);
      return holds(rational.compare(left, right));
    });
  }

  #call(fn: Node, args: readonly Node[], scope: Scope): ExactValue {
    if (fn.type !== 'SymbolNode') throw new NotExact(fn.type);
    const own = scope.functions.get(fn.name);
    if (!own) return this.#apply(fn.name, args, scope);
    if (own.params.length !== args.length) throw new NotExact(fn.name);
    if (scope.calls >= MAX_CALLS)
      throw invalidArgument(
        'expression',
        `${fn.name} calls itself more than ${String(MAX_CALLS)} times`,
        'TOO_DEEP',
      );
    const values = new Map(scope.values);
    own.params.forEach((param, at) => {
      const argument = args[at];
      if (argument) values.set(param, this.#value(argument, scope));
    });
    return this.#value(own.body, { values, functions: scope.functions, calls: scope.calls + 1 });
  }

  #apply(name: string, args: readonly Node[], scope: Scope): ExactValue {
    const [first, second] = args;
    if (first && second && args.length === 2) {
      if (name === 'and') return this.#truth(first, scope) && this.#truth(second, scope);
      if (name === 'or') return this.#truth(first, scope) || this.#truth(second, scope);
      if (name === 'xor') return this.#truth(first, scope) !== this.#truth(second, scope);
      const order = ORDER[name];
      const [a, b] = [this.#number(first, scope), this.#number(second, scope)];
      return order ? order(rational.compare(a, b)) : this.#two(name, a, b);
    }
    if (first && args.length === 1)
      return name === 'not'
        ? !this.#truth(first, scope)
        : this.#one(name, this.#number(first, scope));
    return this.#many(
      name,
      args.map((arg) => this.#number(arg, scope)),
    );
  }

  #one(name: string, a: Rational): Rational {
    switch (name) {
      case 'unaryMinus':
        return rational.negate(a);
      case 'unaryPlus':
        return a;
      case 'abs':
        return rational.abs(a);
      case 'sign':
        return rational.integer(BigInt(rational.compare(a, rational.integer(0n))));
      case 'floor':
        return rational.floor(a);
      case 'ceil':
        return rational.negate(rational.floor(rational.negate(a)));
      case 'fix':
        return rational.integer(a.num / a.den);
      case 'round': {
        const up = rational.floor(rational.add(rational.abs(a), { num: 1n, den: 2n }));
        return a.num < 0n ? rational.negate(up) : up;
      }
      case 'square':
        return this.#two('pow', a, rational.integer(2n));
      case 'cube':
        return this.#two('pow', a, rational.integer(3n));
      case 'factorial':
        return this.#factorial(a);
      case 'sqrt': {
        const root = rational.rationalRoot(a);
        if (root) return root;
        throw new NotExact(name);
      }
      default:
        return this.#many(name, [a]);
    }
  }

  #two(name: string, a: Rational, b: Rational): Rational {
    switch (name) {
      case 'add':
        return this.#bounded(rational.add(a, b));
      case 'subtract':
        return this.#bounded(rational.subtract(a, b));
      case 'multiply':
        this.#room(a, log10Of(a.num) + log10Of(b.num) - 1, log10Of(a.den) + log10Of(b.den));
        return this.#bounded(rational.multiply(a, b));
      case 'divide':
        return this.#bounded(rational.divide(a, b));
      case 'mod':
        return rational.mod(a, b);
      case 'pow':
        return this.#power(a, b);
      case 'leftShift':
        if (!rational.isInteger(a)) throw new NotExact(name);
        return rational.multiply(a, this.#power(rational.integer(2n), b));
      case 'rightArithShift':
        if (!rational.isInteger(a)) throw new NotExact(name);
        return rational.floor(rational.divide(a, this.#power(rational.integer(2n), b)));
      case 'combinations':
        return this.#combinations(a, b);
      case 'permutations':
        return this.#permutations(a, b);
      default:
        return this.#many(name, [a, b]);
    }
  }

  #many(name: string, numbers: readonly Rational[]): Rational {
    const [first, ...rest] = numbers;
    if (!first) throw new NotExact(name);
    switch (name) {
      case 'add':
      case 'multiply':
        return rest.reduce((left, right) => this.#two(name, left, right), first);
      case 'sum':
        return rest.reduce((left, right) => this.#two('add', left, right), first);
      case 'prod':
        return rest.reduce((left, right) => this.#two('multiply', left, right), first);
      case 'min':
        return rest.reduce(
          (left, right) => (rational.compare(right, left) < 0 ? right : left),
          first,
        );
      case 'max':
        return rest.reduce(
          (left, right) => (rational.compare(right, left) > 0 ? right : left),
          first,
        );
      case 'gcd':
      case 'lcm': {
        if (!numbers.every(rational.isInteger)) throw new NotExact(name);
        const whole = numbers.map(({ num }) => (num < 0n ? -num : num));
        return rational.integer(
          whole.reduce((left, right) => {
            const common = gcd(left, right);
            if (name === 'gcd') return common;
            return common === 0n ? 0n : (left / common) * right;
          }),
        );
      }
      default:
        throw new NotExact(name);
    }
  }

  #power(base: Rational, exponent: Rational): Rational {
    if (!rational.isInteger(exponent)) throw new NotExact('pow');
    const times = Math.abs(Number(exponent.num));
    const digits = (n: bigint): number =>
      n === 0n || n === 1n || n === -1n ? 0 : log10Of(n < 0n ? -n - 1n : n - 1n) * times;
    this.#room(exponent.num < 0n ? { num: 1n, den: 2n } : base, digits(base.num), digits(base.den));
    return rational.power(base, exponent.num);
  }

  #factorial(a: Rational): Rational {
    if (!rational.isInteger(a) || a.num < 0n) throw new NotExact('factorial');
    checkDigits('the factorial', log10Factorial(Number(a.num)) + 1, this.#maxDigits);
    return rational.integer(factorial(a.num));
  }

  #combinations(n: Rational, k: Rational): Rational {
    if (!rational.isInteger(n) || !rational.isInteger(k) || k.num < 0n)
      throw new NotExact('n over k');
    const fewer = Number(k.num < n.num - k.num ? k.num : n.num - k.num);
    this.#room(n, Math.max(0, fewer) * log10Of(n.num), 0);
    return rational.integer(binomial(n.num, k.num));
  }

  #permutations(n: Rational, k: Rational): Rational {
    if (!rational.isInteger(n) || !rational.isInteger(k) || k.num < 0n || k.num > n.num)
      throw new NotExact('permutations');
    this.#room(n, Number(k.num) * log10Of(n.num), 0);
    return rational.integer(productOf(n.num - k.num + 1n, n.num));
  }

  /** Refuses what gets too large before it is computed: whole numbers with an error, fractions by going on as doubles. */
  #room(kind: Rational, numDigits: number, denDigits: number): void {
    if (rational.isInteger(kind))
      checkDigits('a number on the way', numDigits + 1, this.#maxDigits);
    else if (Math.max(numDigits, denDigits) > MAX_FRACTION_DIGITS) throw new NotExact('size');
  }

  #bounded(a: Rational): Rational {
    if (a.den !== 1n && log10Of(a.den) > MAX_FRACTION_DIGITS) throw new NotExact('size');
    return a;
  }

  #number(node: Node, scope: Scope): Rational {
    const value = this.#value(node, scope);
    if (typeof value === 'boolean') throw new NotExact('boolean');
    return value;
  }

  #truth(node: Node, scope: Scope): boolean {
    const value = this.#value(node, scope);
    return typeof value === 'boolean' ? value : value.num !== 0n;
  }
}

/** Literals: whole ones are BigInts, others mathjs's BigNumbers, which print as they were written. */
function constant(value: unknown): ExactValue {
  if (typeof value === 'bigint') return rational.integer(value);
  if (typeof value === 'boolean') return value;
  const text = String(value);
  if (typeof value === 'string' || !/^-?[0-9.]+(e[+-]?[0-9]{1,4})?$/.test(text))
    throw new NotExact('literal');
  return rational.parseRational(text);
}
