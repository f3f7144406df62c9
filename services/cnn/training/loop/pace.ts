import type { StepResult } from '../engine/engine.js';
import type { StepProgress } from './messages.js';
import { showingAt } from './schedule.js';
import type { TrainingPlan } from './schedule.js';

const LAST_STEPS = 20;
const SMOOTHING = 0.9;

/** Sums of an epoch, means of its last steps, and how long the rest will take. */
export class Pace {
  readonly #plan: TrainingPlan;
  readonly #last: { readonly loss: number; readonly correct: number }[] = [];
  #loss = 0;
  #correct = 0;
  #steps = 0;
  /** Seconds for one pixel of one picture, a running mean. */
  #pixelSeconds = 0;
  /** Seconds that the last epoch took beside its steps. */
  #besideSeconds = 0;

  constructor(plan: TrainingPlan) {
    this.#plan = plan;
  }

  /** A step is over that took `seconds`, waiting for its batch among them. */
  add(result: StepResult, size: number, seconds: number): void {
    this.#loss += result.loss;
    this.#correct += result.correct;
    this.#steps++;
    this.#last.push(result);
    if (this.#last.length > LAST_STEPS) this.#last.shift();
    const now = seconds / (this.#plan.batch * size * size);
    this.#pixelSeconds =
      this.#pixelSeconds === 0 ? now : SMOOTHING * this.#pixelSeconds + (1 - SMOOTHING) * now;
  }

  /** Means over the epoch, which ends here. */
  endEpoch(besideSeconds: number): { readonly loss: number; readonly accuracy: number } {
    const loss = this.#loss / this.#steps;
    const accuracy = this.#correct / (this.#steps * this.#plan.batch);
    [this.#loss, this.#correct, this.#steps] = [0, 0, 0];
    this.#besideSeconds = besideSeconds;
    return { loss, accuracy };
  }

  /** `epoch` from 0; `step`: how many of it are done. */
  progress(epoch: number, step: number): StepProgress {
    const { batch } = this.#plan;
    const { size } = showingAt(this.#plan, epoch);
    const sum = (of: (one: { loss: number; correct: number }) => number): number =>
      this.#last.reduce((total, one) => total + of(one), 0) / this.#last.length;
    return {
      ...{ epoch: epoch + 1, step },
      loss: sum(({ loss }) => loss),
      accuracy: sum(({ correct }) => correct) / batch,
      imagesPerSecond: 1 / (this.#pixelSeconds * size * size),
      etaSeconds: this.#etaSeconds(epoch, step),
    };
  }

  #etaSeconds(epoch: number, step: number): number {
    const { epochs, stepsPerEpoch, batch } = this.#plan;
    let seconds = 0;
    for (let at = epoch; at < epochs; at++) {
      const { size } = showingAt(this.#plan, at);
      const steps = at === epoch ? stepsPerEpoch - step : stepsPerEpoch;
      seconds += steps * batch * size * size * this.#pixelSeconds + this.#besideSeconds;
    }
    return seconds;
  }
}
