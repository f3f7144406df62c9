import { integerValue, jsonValue, numberValue, textValue } from '../../protos/values.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { Adaptor, ArgumentSpec, Arguments, InvocationContext, Operation } from '../adaptor.js';
import { blendOperation } from './blend.js';
import { complementOperation } from './complement.js';
import { cosineOperation } from './cosine.js';
import { argument, INTEGERS, textOf } from './operands.js';
import type { Evaluation, MathService } from './service.js';
import { splitOperation, sumOperation, sumPowersOperation } from './sum-operations.js';

/** The operations of a math node. The main operand is always `input`: the result of the step before, where there is one. */
export function mathAdaptor(service: MathService): Adaptor {
  const { max_result_digits: maxDigits } = service.limits;
  const text = (args: Arguments, name: string): string => textOf(name, args.get(name), maxDigits);
  const operation = (
    name: string,
    summary: string,
    specs: readonly ArgumentSpec[],
    perform: (args: Arguments, context: InvocationContext) => string | Promise<string>,
  ): Operation => ({
    spec: { name, summary, arguments: specs, output: ['integer'], idempotent: true },
    perform(args, context) {
      const result = perform(args, context);
      return typeof result === 'string' ? integerValue(result) : result.then(integerValue);
    },
  });
  return {
    type: 'math',
    operations: [
      operation(
        'math.shift_left',
        'input * 2^m',
        [argument('input', 'an integer'), argument('m', 'how many binary places, from 0 up')],
        (args, call) => service.shiftLeft(text(args, 'input'), text(args, 'm'), call),
      ),
      operation(
        'math.add',
        'input + by',
        [argument('input', 'an integer'), argument('by', 'an integer')],
        (args, call) =>
          service.exact({ kind: 'add', n: text(args, 'input'), by: text(args, 'by') }, call),
      ),
      operation(
        'math.multiply',
        'input * by',
        [argument('input', 'an integer'), argument('by', 'an integer')],
        (args, call) =>
          service.exact({ kind: 'multiply', n: text(args, 'input'), by: text(args, 'by') }, call),
      ),
      operation(
        'math.factorial',
        'input!',
        [argument('input', 'an integer from 0 up')],
        (args, call) => service.factorial(text(args, 'input'), call),
      ),
      operation(
        'math.binomial',
        'input over k',
        [argument('input', 'an integer from 0 up'), argument('k', 'an integer')],
        (args, call) => service.binomial(text(args, 'input'), text(args, 'k'), call),
      ),
      expandOperation(service, text),
      evaluateOperation(service, text),
      splitOperation(service),
      sumPowersOperation(service),
      sumOperation(service),
      cosineOperation(service),
      blendOperation(service.limits),
      complementOperation(service.limits),
    ],
  };
}

type TextOf = (args: Arguments, name: string) => string;

function expandOperation(service: MathService, text: TextOf): Operation {
  return {
    spec: {
      name: 'math.expand',
      summary:
        'the terms of (a + b)^input, as JSON: {terms: [{coefficient, aPower, bPower, value}], value, text}',
      arguments: [
        argument('input', 'the exponent, from 0 up'),
        argument('a', 'an integer; without it the symbol a', { optional: true }),
        argument('b', 'an integer; without it the symbol b', { optional: true }),
      ],
      output: ['bytes'],
      idempotent: true,
    },
    async perform(args, context) {
      const operand = (name: string): string => (args.has(name) ? text(args, name) : '');
      const n = text(args, 'input');
      return jsonValue(await service.expand(operand('a'), operand('b'), n, context));
    },
  };
}

function evaluateOperation(service: MathService, text: TextOf): Operation {
  return {
    spec: {
      name: 'math.evaluate',
      summary: 'the value of an expression; `input` is a variable in it',
      arguments: [
        argument('expression', 'in the syntax of mathjs, such as input^2 + 1', { kinds: ['text'] }),
        argument('input', 'the value of the variable `input`, a number', {
          optional: true,
          kinds: [...INTEGERS, 'number'],
        }),
      ],
      output: ['integer', 'number', 'text'],
      idempotent: true,
    },
    async perform(args, context) {
      const variables = new Map(args.has('input') ? [['input', text(args, 'input')]] : []);
      return valueOf(await service.evaluate(text(args, 'expression'), variables, context));
    },
  };
}

function valueOf({ result, type }: Evaluation): Value {
  if (type === 'integer') return integerValue(result);
  return type === 'number' ? numberValue(Number(result)) : textValue(result);
}
