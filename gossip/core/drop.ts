/**
 * Why something well made that arrived was not taken. `unexpected_answer`: nobody waits for an answer with this number (it is late, replayed or made up). `other_name`: a ping for
 * somebody else. `stale`: said of an earlier incarnation. `unknown_member`: an accusation of nobody who is known. `unfit`: versions that no member can have. `conflict`: somebody else
 * under a name in use. `over_limit`: more members, or more pings for others, than are taken. Late and stale ones are usual: rumours meet each other.
 */
export type Drop =
  | 'unexpected_answer'
  | 'other_name'
  | 'stale'
  | 'unknown_member'
  | 'unfit'
  | 'conflict'
  | 'over_limit';
