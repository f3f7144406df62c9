import { processWorkers } from '../../runtime/worker-host.js';
import { WorkerPool } from '../../runtime/worker-pool.js';
import { cosine } from './cosine.js';
import { checkExpression } from './expression-limits.js';
import type { Expansion } from './exact.js';
import type { MathLimits } from './limits.js';
import { compute, digitsOf } from './tasks.js';
import type { ExactResult, ExactTask, MathJob, MathTask } from './tasks.js';

/**
 * Results up to this many digits are computed at once, on the event loop: some microseconds. Measured on one core: 2^13000 as text
 * takes 40 us, 1000! 160 us.
 */
const AT_ONCE_DIGITS = 2000;

/** The value of an expression. */
export interface Evaluation {
  /** The value as text; integers are exact. */
  readonly result: string;
  readonly type: EvaluationType;
}

export type EvaluationType =
  'integer' | 'number' | 'boolean' | 'text' | 'matrix' | 'complex' | 'fraction' | 'unit';

export interface MathCall {
  readonly signal?: AbortSignal;
}

/**
 * Exact integers and expressions. Numbers go in and out as decimal text. Small results come at once, larger ones from a worker process
 * with limits on time and memory. Owns its workers; they start at the first need.
 */
export class MathService implements AsyncDisposable {
  readonly limits: MathLimits;
  readonly #pool: WorkerPool<MathJob, unknown>;

  constructor(limits: MathLimits) {
    this.limits = limits;
    this.#pool = new WorkerPool({
      name: 'math',
      start: processWorkers(new URL('./worker.js', import.meta.url), {
        memoryBytes: limits.max_worker_memory,
      }),
      size: limits.workers,
      maxQueued: limits.max_queued,
      onAbort: 'kill',
    });
  }

  /** Worker processes that are alive, and their tasks. */
  get load(): WorkerPool<MathJob, unknown>['load'] {
    return this.#pool.load;
  }

  /** Computes exactly. No promise where the result is small. */
  exact<T extends ExactTask>(
    task: T,
    call: MathCall = {},
  ): ExactResult<T> | Promise<ExactResult<T>> {
    const digits = digitsOf(task, this.limits);
    if (digits <= AT_ONCE_DIGITS) return compute(task, this.limits);
    return this.#inWorker(task, task.kind, call) as Promise<ExactResult<T>>;
  }

  factorial(n: string, call?: MathCall): string | Promise<string> {
    return this.exact({ kind: 'factorial', n }, call);
  }

  binomial(n: string, k: string, call?: MathCall): string | Promise<string> {
    return this.exact({ kind: 'binomial', n, k }, call);
  }

  /** Terms of (a + b)^n; an empty operand stays a symbol. */
  expand(a: string, b: string, n: string, call?: MathCall): Expansion | Promise<Expansion> {
    return this.exact({ kind: 'expand', a, b, n }, call);
  }

  /** n * 2^m */
  shiftLeft(n: string, m: string, call?: MathCall): string | Promise<string> {
    return this.exact({ kind: 'shiftLeft', n, m }, call);
  }

  /** The cosine of the angle between two vectors of the same length; see `cosine.ts`. */
  cosine(a: Float64Array, b: Float64Array, call: MathCall = {}): number | Promise<number> {
    return cosine(a, b, call);
  }

  /** The value of an expression in the syntax of mathjs; see `expression.ts` for what is exact. */
  async evaluate(
    expression: string,
    variables: ReadonlyMap<string, string> = new Map(),
    call: MathCall = {},
  ): Promise<Evaluation> {
    checkExpression(expression, variables, this.limits);
    const task = { kind: 'evaluate', expression, variables } as const;
    return (await this.#inWorker(task, 'the expression', call)) as Evaluation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  #inWorker(task: MathTask, what: string, call: MathCall): Promise<unknown> {
    return this.#pool.run(
      { task, limits: this.limits },
      {
        what,
        timeoutMs: this.limits.max_compute_ms,
        limit: 'max_compute_ms',
        ...(call.signal ? { signal: call.signal } : {}),
      },
    );
  }
}
