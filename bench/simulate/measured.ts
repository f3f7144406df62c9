import { run } from '../../gossip/simulator/experiment.js';
import type { Experiment, Outcome } from '../../gossip/simulator/experiment.js';
import type { Cost } from './report.js';

/** Runs an experiment and measures what that took. */
export function measured(experiment: Experiment): { outcome: Outcome; cost: Cost } {
  const cpu = process.cpuUsage();
  const began = performance.now();
  const outcome = run(experiment);
  const { user, system } = process.cpuUsage(cpu);
  const wallMs = performance.now() - began;
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { outcome, cost: { cpuMs: (user + system) / 1000, wallMs, peakBytes } };
}
