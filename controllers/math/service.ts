import {
  MathServiceService,
  type BinomialRequest,
  type BinomialResponse,
  type EvaluateRequest,
  type EvaluateResponse,
  type ExpandRequest,
  type ExpandResponse,
  type FactorialRequest,
  type FactorialResponse,
  type ShiftLeftRequest,
  type ShiftLeftResponse,
} from '../../protos/gen/fractory/v1/math.js';
import type { MathService } from '../../services/math/service.js';
import { typedService, unary } from '../kernel/calls.js';
import type { TypedService } from '../kernel/calls.js';

/** `fractory.v1.MathService` over the device. */
export function mathTypedService(math: MathService): TypedService {
  return typedService(MathServiceService, {
    evaluate: unary<EvaluateRequest, EvaluateResponse>(({ expression, variables }, call) =>
      math.evaluate(expression, new Map(Object.entries(variables)), call),
    ),
    factorial: unary<FactorialRequest, FactorialResponse>(async ({ n }, call) => ({
      result: await math.factorial(n, call),
    })),
    binomial: unary<BinomialRequest, BinomialResponse>(async ({ n, k }, call) => ({
      result: await math.binomial(n, k, call),
    })),
    expand: unary<ExpandRequest, ExpandResponse>(async ({ a, b, n }, call) =>
      math.expand(a, b, n, call),
    ),
    shiftLeft: unary<ShiftLeftRequest, ShiftLeftResponse>(async ({ n, m }, call) => ({
      result: await math.shiftLeft(n, m, call),
    })),
  });
}
