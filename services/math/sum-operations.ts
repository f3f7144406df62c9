import { invalidArgument } from '../../runtime/errors.js';
import { integerValue, listValue, numberValue, textValue } from '../../protos/values.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { Operation } from '../adaptor.js';
import { argument, elementsOf, textOf } from './operands.js';
import type { MathService } from './service.js';

/** A sum in parts, `split` -> map over `sum_powers` -> `sum`: the work of one becomes the work of many. */

export function splitOperation(service: MathService): Operation {
  const max = service.limits.max_result_digits;
  return {
    spec: {
      name: 'math.split',
      summary: '1..input as a list of ranges of equal length, such as 1..50 and 51..100',
      arguments: [
        argument('input', 'an integer from 0 up'),
        argument('parts', 'how many ranges, from 1 up; no more than there are numbers'),
      ],
      output: ['list'],
      idempotent: true,
    },
    async perform(args, context) {
      const [n, parts] = [
        textOf('input', args.get('input'), max),
        textOf('parts', args.get('parts'), max),
      ];
      const ranges = await service.exact({ kind: 'split', n, parts }, context);
      return listValue(ranges.map(textValue));
    },
  };
}

export function sumPowersOperation(service: MathService): Operation {
  const max = service.limits.max_result_digits;
  return {
    spec: {
      name: 'math.sum_powers',
      summary: 'the sum of k^exponent for all k in a range',
      arguments: [
        argument('input', 'the range, such as 1..100', { kinds: ['text', 'bytes'] }),
        argument('exponent', 'from 0 up'),
      ],
      output: ['integer'],
      idempotent: true,
    },
    perform(args, context) {
      const range = textOf('input', args.get('input'), 2 * max);
      const exponent = textOf('exponent', args.get('exponent'), max);
      const sum = service.exact({ kind: 'sumPowers', range, exponent }, context);
      return typeof sum === 'string' ? integerValue(sum) : sum.then(integerValue);
    },
  };
}

export function sumOperation(service: MathService): Operation {
  const { limits } = service;
  return {
    spec: {
      name: 'math.sum',
      summary: 'the sum of a list: exact for integers, a double where one is a double',
      arguments: [argument('input', 'integers or numbers', { kinds: ['list'] })],
      output: ['integer', 'number'],
      idempotent: true,
    },
    perform(args, context) {
      const values = elementsOf('input', args.get('input'), limits);
      const terms = values.map((value, index) =>
        textOf(`input[${String(index)}]`, value, limits.max_result_digits),
      );
      if (values.some(({ kind }) => kind?.$case === 'number')) return sumOfNumbers(terms);
      const sum = service.exact({ kind: 'sum', terms }, context);
      return typeof sum === 'string' ? integerValue(sum) : sum.then(integerValue);
    },
  };
}

function sumOfNumbers(terms: readonly string[]): Value {
  const sum = terms.reduce((before, term) => before + Number(term), 0);
  if (Number.isFinite(sum)) return numberValue(sum);
  throw invalidArgument('input', `the sum ${String(sum)} is no number`, 'OUT_OF_RANGE');
}
