import { invalidArgument } from './errors.js';

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** Checks the name of a client, file, model, run or member and returns it; INVALID_ARGUMENT names the field. */
export function checkName(field: string, name: string, maxBytes = 128): string {
  if (name === '') throw invalidArgument(field, 'is missing', 'BAD_NAME');
  if (name.length > maxBytes)
    throw invalidArgument(
      field,
      `has ${String(name.length)} characters, the limit is ${String(maxBytes)}`,
      'BAD_NAME',
    );
  if (!NAME.test(name))
    throw invalidArgument(
      field,
      `${JSON.stringify(name)} is not a name: use A-Z a-z 0-9 . _ - and don't start with a dot`,
      'BAD_NAME',
    );
  return name;
}
