import { invalidArgument } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';
import type { Argument, Value } from '../../protos/gen/fractory/v1/value.js';
import { kindOf } from '../../protos/values.js';
import type { Arguments, OperationSpec } from '../../services/adaptor.js';
import { denied } from './capabilities/caveats.js';

/** Arguments fixed by the capability and those of the invocation, together. Fixed ones can't be named again. */
export function mergeArguments(
  bound: ReadonlyMap<string, Value>,
  given: readonly Argument[],
): Map<string, Value> {
  const merged = new Map(bound);
  for (const { name, value } of given) {
    if (merged.has(name))
      throw bound.has(name)
        ? denied(`argument ${name} is fixed by the capability`)
        : invalidArgument(`arguments.${name}`, 'is given twice');
    if (!value?.kind) throw invalidArgument(`arguments.${name}`, 'has no value');
    merged.set(name, value);
  }
  return merged;
}

/** Checks names, kinds and presence of arguments against what the operation takes. */
export function checkArguments(spec: OperationSpec, args: Arguments): void {
  let matched = 0;
  for (const argument of spec.arguments) {
    const kind = kindOf(args.get(argument.name));
    if (kind === undefined) {
      if (argument.required)
        throw invalidArgument(
          `arguments.${argument.name}`,
          `${spec.name} needs it`,
          'MISSING_ARGUMENT',
        );
      continue;
    }
    matched++;
    if (!argument.kinds.includes(kind)) throw wrongKind(spec, argument.name, kind, argument.kinds);
  }
  if (matched !== args.size) throw unknownArgument(spec, args);
}

function wrongKind(
  spec: OperationSpec,
  name: string,
  found: string,
  expected: readonly string[],
): FractoryError {
  return invalidArgument(
    `arguments.${name}`,
    `${spec.name} takes ${expected.join(' or ')}, found ${found}`,
    'WRONG_KIND',
  );
}

function unknownArgument(spec: OperationSpec, args: Arguments): FractoryError {
  const known = spec.arguments.map((argument) => argument.name);
  const unknown = [...args.keys()].find((name) => !known.includes(name)) ?? '';
  return invalidArgument(
    `arguments.${unknown}`,
    `${spec.name} has no such argument; it has ${known.join(', ')}`,
    'UNKNOWN_ARGUMENT',
  );
}
