import type { Began, ChaosEvent, Faulted, RunEvent } from '../../../launcher/chaos/events.js';

/** The beginning of an experiment with six members. */
export const began: Began = {
  ...{ event: 'began', experiment: '20260101T000000-test', command: 'chaos monkey' },
  ...{ startedAt: '2026-01-01T00:00:00.000Z', dataCenter: 'tests', coordinator: 'zookeeper' },
  sessionTimeoutMs: 2000,
  members: [
    { member: 'application-1', type: 'application', epoch: '1', leader: true },
    { member: 'math-1', type: 'math', epoch: '2', leader: false },
    { member: 'storage-1', type: 'storage', epoch: '5', leader: true },
    { member: 'storage-2', type: 'storage', epoch: '6', leader: false },
  ],
  workloads: [
    { kind: 'image-prediction', uses: ['application', 'storage', 'cnn'] },
    { kind: 'shift-left', uses: ['application', 'storage', 'math'] },
  ],
};

export function fault(
  number: number,
  atMs: number,
  target: string,
  more: Partial<Faulted>,
): Faulted {
  const type = target.replace(/-\d+$/, '');
  return {
    event: 'fault',
    atMs,
    fault: number,
    kind: 'kill',
    target,
    type,
    leader: false,
    ...more,
  };
}

export function run(atMs: number, endMs: number, more: Partial<RunEvent> = {}): RunEvent {
  return {
    ...{ event: 'run', atMs, endMs, run: 'r', kind: 'shift-left', durable: false },
    ...{ outcome: 'succeeded', attempts: 1, sends: 1 },
    ...more,
  };
}

export function serves(atMs: number, member: string, epoch: string): ChaosEvent {
  return { event: 'serves', atMs, member, type: member.replace(/-\d+$/, ''), epoch };
}
