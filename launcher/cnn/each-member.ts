import { FractoryError } from '../../runtime/errors.js';
import type { CnnMember } from './members.js';

/** What one member said: an answer, or why there is none. */
export type MemberOutcome<T> =
  | { readonly member: string; readonly answer: T }
  | { readonly member: string; readonly error: FractoryError };

/** Asks members at the same time; a bug is thrown, a failure is an outcome. In the order of the members. */
export function askEach<T>(
  members: readonly CnnMember[],
  ask: (member: CnnMember) => Promise<T>,
): Promise<MemberOutcome<T>[]> {
  return Promise.all(
    members.map(async (member): Promise<MemberOutcome<T>> => {
      try {
        return { member: member.id, answer: await ask(member) };
      } catch (error) {
        if (error instanceof FractoryError) return { member: member.id, error };
        throw error;
      }
    }),
  );
}
