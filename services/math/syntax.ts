import { invalidArgument } from '../../runtime/errors.js';
import { shown } from './integers.js';

/** The nodes of mathjs's syntax tree that we look into, with the fields that we use. */
export type Node =
  | { readonly type: 'ConstantNode'; readonly value: unknown }
  | { readonly type: 'SymbolNode'; readonly name: string }
  | { readonly type: 'ParenthesisNode'; readonly content: Node }
  | { readonly type: 'OperatorNode'; readonly fn: string; readonly args: readonly Node[] }
  | { readonly type: 'FunctionNode'; readonly fn: Node; readonly args: readonly Node[] }
  | {
      readonly type: 'RelationalNode';
      readonly conditionals: readonly string[];
      readonly params: readonly Node[];
    }
  | {
      readonly type: 'ConditionalNode';
      readonly condition: Node;
      readonly trueExpr: Node;
      readonly falseExpr: Node;
    }
  | {
      readonly type: 'AssignmentNode';
      readonly object: Node;
      readonly index: unknown;
      readonly value: Node;
    }
  | {
      readonly type: 'FunctionAssignmentNode';
      readonly name: string;
      readonly params: readonly string[];
      readonly expr: Node;
    }
  | { readonly type: 'BlockNode'; readonly blocks: readonly { readonly node: Node }[] }
  | {
      readonly type:
        'AccessorNode' | 'ArrayNode' | 'IndexNode' | 'ObjectNode' | 'RangeNode' | 'OtherNode';
    };

interface Walkable {
  traverse(visit: (node: Node & { readonly isNode: true }) => void): void;
}

/** Functions and constants of mathjs that expressions may use; anything else is refused, whatever a later version adds. */
const ALLOWED = new Set(
  `abs acos acosh acot acoth acsc acsch add and arg asec asech asin asinh atan atan2 atanh bellNumbers bin bitAnd bitNot bitOr bitXor
  boolean catalan cbrt ceil column combinations combinationsWithRep complex composition concat conj cos cosh cot coth count cross csc csch
  ctranspose cube cumsum deepEqual det diag diff distance divide dot dotDivide dotMultiply dotPow e E eigs equal erf exp expm1 factorial
  false fix flatten floor fraction gamma gcd hex hypot i identity im Infinity inv invmod isInteger isNaN isNegative isNumeric isPositive
  isPrime isZero kron larger largerEq lcm leftShift lgamma LN10 LN2 log log10 log1p log2 LOG10E LOG2E lup mad map matrix max mean median
  min mod mode multinomial multiply NaN norm not nthRoot null number oct ones or permutations phi pi PI pow prod qr quantileSeq random
  randomInt range re resize reshape rightArithShift rightLogShift round row sec sech sign sin sinh size sort sqrt SQRT1_2 SQRT2 square
  squeeze std stirlingS2 string subset subtract sum tan tanh tau to trace transpose true typeOf unaryMinus unaryPlus undefined unequal
  unit smaller smallerEq variance xgcd xor zeros zeta end forEach filter speedOfLight gravity`.split(
    /\s+/,
  ),
);

/**
 * Refuses what expressions may not do: reach properties of objects, call anything but functions by name, and name functions of mathjs
 * that are off. `isKnown` tells which names mathjs gives a meaning.
 */
export function checkSyntax(tree: unknown, isKnown: (name: string) => boolean): void {
  (tree as Walkable).traverse((node) => {
    if (node.type === 'ObjectNode')
      throw invalidArgument('expression', 'objects are off', 'FUNCTION_OFF');
    if (node.type === 'FunctionNode' && node.fn.type !== 'SymbolNode')
      throw invalidArgument('expression', 'only functions with a name are called', 'FUNCTION_OFF');
    if (node.type === 'AccessorNode' && 'name' in node && node.name !== '')
      throw invalidArgument('expression', 'properties are off', 'FUNCTION_OFF');
    for (const name of namesIn(node))
      if (isKnown(name) && !ALLOWED.has(name))
        throw invalidArgument('expression', `${shown(name)} is off`, 'FUNCTION_OFF');
  });
}

function namesIn(node: Node): readonly string[] {
  if (node.type === 'SymbolNode') return [node.name];
  if (node.type === 'FunctionAssignmentNode') return [node.name, ...node.params];
  if (node.type === 'OperatorNode') return [node.fn];
  return [];
}
