import { messageOf } from './errors.js';

/** What the operating system's refusals of an address mean for people. */
const PROBLEMS: readonly (readonly [string, string])[] = [
  ['EADDRINUSE', 'another program has it'],
  ['EADDRNOTAVAIL', 'it is no address of this machine'],
  ['EACCES', 'this user may not have it'],
];

/** Why nobody can listen at an address. Of gRPC's errors the system's code is known from the text alone. */
export function bindProblem(thrown: unknown): string {
  const text = messageOf(thrown);
  return PROBLEMS.find(([code]) => text.includes(code))?.[1] ?? text;
}
