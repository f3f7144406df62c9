import { status } from '@grpc/grpc-js';
import { FractoryError } from '../../../runtime/errors.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import type { MathLimits } from '../../../services/math/limits.js';
import { MathService } from '../../../services/math/service.js';
import { assert, rejects, suite } from '../../suite.js';

const startMath = (limits: Partial<MathLimits> = {}): MathService =>
  new MathService({ ...DEFAULT_MATH_LIMITS, workers: 1, ...limits });

suite('expressions', (test) => {
  test('an expression has the value and the type that a reader expects', async () => {
    await using math = startMath();
    const factorial100 = await math.factorial('100');
    const rows: readonly (readonly [string, string, string])[] = [
      ['2^200', String(2n ** 200n), 'integer'],
      ['100!', factorial100, 'integer'],
      ['100! / 98!', '9900', 'integer'],
      ['7/2', '3.5', 'number'],
      ['6/2', '3', 'integer'],
      ['0.1 + 0.2', '0.3', 'number'],
      ['1/3', '0.33333333333333333333333333333333', 'number'],
      ['-2/3', '-0.66666666666666666666666666666667', 'number'],
      ['1/3e20', '3.3333333333333333333333333333333e-21', 'number'],
      ['1e-30', '1e-30', 'number'],
      ['floor(10^40 / 3)', '3'.repeat(40), 'integer'],
      ['2^100 > 2^100 - 1', 'true', 'boolean'],
      ['3 > 2 > 1', 'true', 'boolean'],
      ['12345678901234567890123 + 0.5', '12345678901234567890123.5', 'number'],
      ['sqrt(2)', '1.4142135623731', 'number'],
      ['sqrt(2^200)', String(2n ** 100n), 'integer'],
      ['sqrt(-4)', '2i', 'complex'],
      ['-7 mod 3', '2', 'integer'],
      ['mod(2^1000, 7)', '2', 'integer'],
      ['round(-2.5)', '-3', 'integer'],
      ['ceil(7/2) + fix(-7/2)', '1', 'integer'],
      ['gcd(12, 18, 27) + lcm(4, 6)', '15', 'integer'],
      ['max(1, 2^70) - min(3, 2)', String(2n ** 70n - 2n), 'integer'],
      ['combinations(100, 50)', await math.binomial('100', '50'), 'integer'],
      ['5 << 100', String(5n << 100n), 'integer'],
      ['1.0000001^1000000', '1.10517091261432', 'number'],
      ['sin(pi / 6)', '0.5', 'number'],
      ['x = 3; x^2', '9', 'integer'],
      ['f(n) = n <= 1 ? 1 : n * f(n - 1); f(100)', factorial100, 'integer'],
      ['[1, 2; 3, 4] * [1, 2; 3, 4]', '[[7, 10], [15, 22]]', 'matrix'],
      ['inv([1, 2; 3, 4])', '[[-2, 1], [1.5, -0.5]]', 'matrix'],
      ['sum(1:10)', '55', 'integer'],
      ['a = [1, 2, 3]; a[2]', '2', 'integer'],
      ['5 km + 3 m', '5.003 km', 'unit'],
      ['concat("a", "b")', 'ab', 'text'],
      ['true and not false', 'true', 'boolean'],
    ];
    for (const [expression, result, type] of rows)
      assert.equal(await math.evaluate(expression), { result, type }, expression);
  });

  test('variables are exact too', async () => {
    await using math = startMath();
    const variables = new Map([
      ['x', '123456789012345678901234567890'],
      ['y', '-0.5'],
    ]);
    assert.equal(await math.evaluate('x^2 + y', variables), {
      result: '15241578753238836750495351562536198787501905199875019052099.5',
      type: 'number',
    });
  });

  test('the text of an expansion evaluates to its value', async () => {
    await using math = startMath();
    const { text, value } = await math.expand('-3', '17', '25');
    assert.is((await math.evaluate(text)).result, value);
  });

  test(
    'hostile and broken expressions have a clear error each, and the worker goes on',
    async () => {
      await using math = startMath();
      const rows: readonly (readonly [string, string])[] = [
        ['2^(2^40)', 'LIMIT_EXCEEDED'],
        ['9^9^9', 'LIMIT_EXCEEDED'],
        ['10^1000000', 'LIMIT_EXCEEDED'],
        ['(10^9)!', 'LIMIT_EXCEEDED'],
        ['combinations(10^9, 10^8)', 'LIMIT_EXCEEDED'],
        ['1 << 10^12', 'LIMIT_EXCEEDED'],
        ['1+'.repeat(500_000) + '1', 'LIMIT_EXCEEDED'],
        ['('.repeat(1000) + '1' + ')'.repeat(1000), 'LIMIT_EXCEEDED'],
        ['-'.repeat(9000) + '1', 'TOO_DEEP'],
        ['2^'.repeat(4000) + '1', 'TOO_DEEP'],
        ['f(x) = f(x); f(1)', 'TOO_DEEP'],
        ['f(x) = sin(f(x)); f(1)', 'TOO_DEEP'],
        ['1/0', 'DIVISION_BY_ZERO'],
        ['10^400 * pi', 'NOT_FINITE'],
        ['', 'BAD_EXPRESSION'],
        ['2 +', 'BAD_EXPRESSION'],
        ['nothing + 1', 'BAD_EXPRESSION'],
        ['import({a: 1})', 'FUNCTION_OFF'],
        ['import(1)', 'FUNCTION_OFF'],
        ['createUnit("x")', 'FUNCTION_OFF'],
        ['evaluate("1")', 'FUNCTION_OFF'],
        ['parse("1")', 'FUNCTION_OFF'],
        ['parser()', 'FUNCTION_OFF'],
        ['compile("1")', 'FUNCTION_OFF'],
        ['simplify("x")', 'FUNCTION_OFF'],
        ['derivative("x^2", "x")', 'FUNCTION_OFF'],
        ['config(1)', 'FUNCTION_OFF'],
        ['typed(1)', 'FUNCTION_OFF'],
        ['chain(1)', 'FUNCTION_OFF'],
        ['help("sin")', 'FUNCTION_OFF'],
        ['f = evaluate', 'FUNCTION_OFF'],
        ['map(["1"], parse)', 'FUNCTION_OFF'],
        ['"a".constructor', 'FUNCTION_OFF'],
        ['"a"["constructor"]', 'FUNCTION_OFF'],
        ['sin.constructor', 'FUNCTION_OFF'],
        ['[1].map', 'FUNCTION_OFF'],
        ['{a: 1}', 'FUNCTION_OFF'],
        ['constructor', 'FUNCTION_OFF'],
        ['__proto__ = 1', 'FUNCTION_OFF'],
        ['f(__proto__) = 1', 'FUNCTION_OFF'],
      ];
      for (const [expression, reason] of rows) {
        const outcome = await math.evaluate(expression).then(
          ({ type }) => type,
          (error: unknown) => (error instanceof FractoryError ? error.reason : error),
        );
        assert.is(outcome, reason, expression.slice(0, 60));
      }
      assert.is(math.load.workers, 1);
      assert.is((await math.evaluate('1 + 1')).result, '2');
    },
    { timeoutMs: 30_000 },
  );

  const greedy = [
    'ones(100000, 100000)',
    'sum(1:10^9)',
    '1:1e12',
    'identity(30000)',
    'string(ones(3000, 3000))',
  ];
  test(
    'an expression that needs too much memory fails alone, and the next one works',
    async () => {
      await using math = startMath({ max_worker_memory: 64 * 1024 ** 2, max_compute_ms: 20_000 });
      for (const expression of greedy)
        await rejects(math.evaluate(expression), FractoryError, {
          code: status.RESOURCE_EXHAUSTED,
          reason: 'OUT_OF_MEMORY',
        });
      assert.is((await math.evaluate('1 + 1')).result, '2');
    },
    { timeoutMs: 60_000 },
  );

  test(
    'an endless expression ends at the time limit, and the next one works',
    async () => {
      await using math = startMath({ max_compute_ms: 300 });
      const endless = 'f(n) = n < 1 ? 1 : f(n - 1) + f(n - 2); f(200)';
      const error = await rejects(math.evaluate(endless), FractoryError, {
        code: status.DEADLINE_EXCEEDED,
      });
      assert.match(error.message, /limit max_compute_ms = 300 ms/);
      assert.is((await math.evaluate('1 + 1')).result, '2');
    },
    { timeoutMs: 20_000 },
  );

  test('bad variables are named', async () => {
    await using math = startMath();
    for (const [name, value, reason] of [
      ['x', 'one', 'NOT_A_NUMBER'],
      ['x', '1e999999', 'NOT_A_NUMBER'],
      ['a b', '1', 'BAD_NAME'],
      ['import', '1', 'none'],
    ] as const) {
      const outcome = await math.evaluate('1', new Map([[name, value]])).then(
        () => 'none',
        (error: unknown) => (error as FractoryError).reason,
      );
      assert.is(outcome, reason, `${name} = ${value}`);
    }
  });
});

suite('where math is computed', (test) => {
  test('small results come at once and start no worker', async () => {
    await using math = startMath();
    assert.is(math.shiftLeft('7', '9'), '3584');
    assert.type(math.factorial('300'), 'string');
    assert.type(math.binomial('500', '250'), 'string');
    assert.is(math.load.workers, 0);
  });

  test(
    'large results come from a worker, exactly, while the event loop is free',
    async () => {
      await using math = startMath({ max_compute_ms: 20_000 });
      await math.evaluate('1');
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      const result = await math.factorial('60000');
      clearInterval(timer);
      assert.is(result.length, 260_635);
      assert.ok(result.endsWith('0'.repeat(14_998)));
      assert.ok(ticks > 0);
      assert.is(await math.shiftLeft('1', '10000'), String(1n << 10000n));
    },
    { timeoutMs: 30_000 },
  );

  test('a cancelled call ends at once with its reason, and its worker with it', async () => {
    await using math = startMath({ max_compute_ms: 60_000 });
    await math.evaluate('1');
    const controller = new AbortController();
    const call = math.evaluate(
      'f(n) = n < 1 ? 1 : f(n - 1) + f(n - 2); f(200)',
      new Map(),
      controller,
    );
    const reason = new Error('enough');
    controller.abort(reason);
    assert.is(await rejects(call, Error), reason);
    assert.is((await math.evaluate('1 + 1')).result, '2');
  });

  test('more calls than may wait are refused, and told when to try again', async () => {
    await using math = startMath({ max_queued: 1 });
    const calls = await Promise.allSettled(['1', '2', '3', '4'].map((one) => math.evaluate(one)));
    const refused = calls.filter((call) => call.status === 'rejected');
    assert.ok(refused.length > 0);
    for (const call of refused) assert.is((call.reason as FractoryError).reason, 'QUEUE_FULL');
  });

  test('a service that stops fails what is under way and leaves no worker', async () => {
    const math = startMath();
    await math.evaluate('1');
    const call = math.evaluate('f(n) = n < 1 ? 1 : f(n - 1) + f(n - 2); f(200)');
    const failed = rejects(call, FractoryError, { reason: 'NODE_STOPPING' });
    await math[Symbol.asyncDispose]();
    await failed;
    assert.is(math.load.workers, 0);
    await rejects(math.evaluate('1'), FractoryError, { reason: 'NODE_STOPPING' });
  });
});
