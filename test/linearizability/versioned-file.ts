import type { Model } from './checker.js';

/** One name in storage, as callers see it. Contents of different writes differ. */
export type FileInput =
  | { readonly act: 'put'; readonly content: string; readonly ifVersion?: bigint | undefined }
  | { readonly act: 'get' }
  | { readonly act: 'delete'; readonly ifVersion?: bigint | undefined };

export type FileOutput =
  /** What was put, or read. */
  | { readonly kind: 'file'; readonly version: bigint; readonly content: string }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'missing' }
  /** The version that there was instead; 0 = none. */
  | { readonly kind: 'mismatch'; readonly version: bigint };

export interface FileState {
  /** Absent = there is no file. */
  readonly content?: string | undefined;
  /** Of the content. Absent while there is one = a write whose answer was never heard gave it one above `last`, and nobody has seen it yet. */
  readonly version?: bigint | undefined;
  /** The highest version that the name is known to have had: versions only grow, and may leave some out. */
  readonly last: bigint;
}

/** A name whose versions grow with each write and are never given twice. */
export const versionedFile: Model<FileState, FileInput, FileOutput> = {
  initial: { last: 0n },
  key: ({ content, version, last }) => `${content ?? ''}/${String(version ?? '')}/${String(last)}`,
  step(state, input, output) {
    switch (input.act) {
      case 'get':
        return afterGet(state, output);
      case 'put':
        return afterPut(state, input, output);
      case 'delete':
        return afterDelete(state, input, output);
    }
  },
};

function afterGet(state: FileState, output: FileOutput | undefined): FileState | undefined {
  if (!output) return state;
  if (output.kind === 'missing') return state.content === undefined ? state : undefined;
  if (output.kind !== 'file' || output.content !== state.content) return undefined;
  return withVersion(state, output.version);
}

function afterPut(
  before: FileState,
  { content, ifVersion }: Extract<FileInput, { act: 'put' }>,
  output: FileOutput | undefined,
): FileState | undefined {
  if (output?.kind === 'mismatch') return afterMismatch(before, ifVersion, output.version);
  const state = ifVersion === undefined ? before : withVersion(before, ifVersion);
  if (!state) return undefined;
  if (!output) return { content, last: state.last };
  if (output.kind !== 'file' || output.version <= floorOf(state)) return undefined;
  return { content, version: output.version, last: output.version };
}

function afterDelete(
  before: FileState,
  { ifVersion }: Extract<FileInput, { act: 'delete' }>,
  output: FileOutput | undefined,
): FileState | undefined {
  if (output?.kind === 'mismatch') return afterMismatch(before, ifVersion, output.version);
  if (output?.kind === 'missing') return before.content === undefined ? before : undefined;
  const state = ifVersion === undefined ? before : withVersion(before, ifVersion);
  if (state?.content === undefined) return undefined;
  return { last: floorOf(state) };
}

function afterMismatch(
  state: FileState,
  expected: bigint | undefined,
  actual: bigint,
): FileState | undefined {
  return expected === undefined || expected === actual ? undefined : withVersion(state, actual);
}

/** The state if it turns out to have this version, 0 = no file; undefined if it can't have it. */
function withVersion(state: FileState, version: bigint): FileState | undefined {
  if (state.content === undefined) return version === 0n ? state : undefined;
  if (state.version !== undefined) return state.version === version ? state : undefined;
  return version > state.last ? { ...state, version, last: version } : undefined;
}

/** A version that no later one may be equal to or below. */
function floorOf({ content, version, last }: FileState): bigint {
  return content !== undefined && version === undefined ? last + 1n : last;
}
