import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import { shown } from './integers.js';
import type { MathLimits } from './limits.js';

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const NUMBER = /^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,4})?$/i;
const MAX_VARIABLES = 100;

/** What can be said of an expression without reading it: how long and how deep, and whether its variables are numbers. */
export function checkExpression(
  expression: string,
  variables: ReadonlyMap<string, string>,
  limits: MathLimits,
): void {
  const { max_expression_length: maxLength, max_expression_depth: maxDepth } = limits;
  if (expression.length > maxLength)
    throw limitExceeded(
      'max_expression_length',
      `${String(expression.length)} characters`,
      maxLength,
      {
        what: 'the expression',
      },
    );
  if (expression.trim() === '') throw invalidArgument('expression', 'is empty', 'BAD_EXPRESSION');
  const depth = depthOf(expression);
  if (depth > maxDepth)
    throw limitExceeded('max_expression_depth', `${String(depth)} brackets deep`, maxDepth, {
      what: 'the expression',
    });
  if (variables.size > MAX_VARIABLES)
    throw limitExceeded('max_variables', variables.size, MAX_VARIABLES, { what: 'variables' });
  for (const [name, value] of variables) checkVariable(name, value, limits.max_result_digits);
}

function checkVariable(name: string, value: string, maxDigits: number): void {
  const field = `variables[${shown(name).slice(1, -1)}]`;
  if (!NAME.test(name))
    throw invalidArgument(field, 'is not a name: use letters, digits and _', 'BAD_NAME');
  if (value.length > maxDigits)
    throw limitExceeded('max_result_digits', `${String(value.length)} characters`, maxDigits, {
      what: field,
    });
  if (!NUMBER.test(value.trim()))
    throw invalidArgument(field, `${shown(value)} is not a number`, 'NOT_A_NUMBER');
}

/** Most brackets open at a time. Brackets inside of text count too: it is a limit, not a grammar. */
function depthOf(expression: string): number {
  let [depth, deepest] = [0, 0];
  for (const character of expression) {
    if (character === '(' || character === '[' || character === '{') depth++;
    else if (character === ')' || character === ']' || character === '}') depth--;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
