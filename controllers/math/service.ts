import {
  MathServiceService,
  type BinomialRequest,
  type BinomialResponse,
  type CosineRequest,
  type CosineResponse,
  type EvaluateRequest,
  type EvaluateResponse,
  type ExpandRequest,
  type ExpandResponse,
  type FactorialRequest,
  type FactorialResponse,
  type ShiftLeftRequest,
  type ShiftLeftResponse,
  type Vector,
} from '../../protos/gen/fractory/v1/math.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { listValue, numberValue, tensorValue } from '../../protos/values.js';
import { vectorOf } from '../../services/math/cosine.js';
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
    cosine: unary<CosineRequest, CosineResponse>(async (request, call) => {
      const a = vectorOf('a', toValue(request.a), math.limits);
      const b = vectorOf('b', toValue(request.b), math.limits);
      return { result: await math.cosine(a, b, call) };
    }),
  });
}

/** A vector as the operation takes it. */
function toValue(vector: Vector | undefined): Value {
  return vector?.tensor
    ? tensorValue(vector.tensor)
    : listValue((vector?.numbers ?? []).map(numberValue));
}
