import { Metadata } from '@grpc/grpc-js';

import { mathTypedService } from '../../../controllers/math/service.js';
import { settings } from '../../../controllers/math/settings.js';
import type { CallContext } from '../../../controllers/kernel/calls.js';
import { tensorOf } from '../../../protos/tensors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { MathService } from '../../../services/math/service.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import { assert, suite } from '../../suite.js';

const call: CallContext = {
  signal: new AbortController().signal,
  budgetMs: 10_000,
  metadata: new Metadata(),
  peer: 'test',
  log: silentLogger(),
};

suite('fractory.v1.MathService', (test) => {
  const rows: readonly (readonly [string, unknown, unknown])[] = [
    ['evaluate', { expression: 'x^2', variables: { x: '12' } }, { result: '144', type: 'integer' }],
    ['factorial', { n: '5' }, { result: '120' }],
    ['binomial', { n: '5', k: '2' }, { result: '10' }],
    ['shiftLeft', { n: '7', m: '9' }, { result: '3584' }],
    [
      'cosine',
      { a: { tensor: tensorOf('FP32', [1, 2], [3, 4]), numbers: [] }, b: { numbers: [4, 3] } },
      { result: 0.96 },
    ],
    [
      'expand',
      { a: '2', b: '', n: '1' },
      {
        terms: [
          { coefficient: '1', aPower: 1, bPower: 0, value: '' },
          { coefficient: '1', aPower: 0, bPower: 1, value: '' },
        ],
        value: '',
        text: '2 + b',
      },
    ],
  ];
  for (const [method, request, response] of rows)
    test(`${method} answers`, async () => {
      await using math = new MathService(DEFAULT_MATH_LIMITS);
      const handler = mathTypedService(math).handlers[method];
      assert.is(handler?.kind, 'unary');
      if (handler?.kind === 'unary') assert.equal(await handler.handle(request, call), response);
    });

  test('the defaults of the ini file are those of the service', () => {
    assert.equal(settings.parse({}), DEFAULT_MATH_LIMITS);
  });
});
