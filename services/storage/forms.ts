import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument } from '../../runtime/errors.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { bytesValue, integerValue, JSON_MEDIA_TYPE, textValue } from '../../protos/values.js';
import { nameOf } from './failures.js';
import type { FileRef } from './failures.js';

/** As what `storage.read` may yield a file. */
export const READ_FORMS = ['bytes', 'text', 'integer', 'json'] as const;
export type ReadForm = (typeof READ_FORMS)[number];

export function readForm(word = 'bytes'): ReadForm {
  const form = READ_FORMS.find((one) => one === word);
  if (form) return form;
  throw invalidArgument('as', `is ${JSON.stringify(word)}, expected ${READ_FORMS.join(', ')}`);
}

/** The content of a file as a value; FAILED_PRECONDITION if it isn't what it was asked to be. */
export function interpret(
  form: ReadForm,
  file: FileRef & { readonly mediaType: string },
  data: Buffer,
): Value {
  switch (form) {
    case 'bytes':
      return bytesValue(file.mediaType, data);
    case 'text':
      return textValue(decodeText(file, data, 'NOT_TEXT', 'is not UTF-8 text'));
    case 'integer':
      return integerValue(decodeInteger(file, data));
    case 'json':
      return bytesValue(JSON_MEDIA_TYPE, checkJson(file, data));
  }
}

function decodeText(ref: FileRef, data: Buffer, reason: string, problem: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data);
  } catch (error) {
    throw unfit(ref, reason, problem, error);
  }
}

/** Canonical decimal text. No BigInt: it would take the longer the more digits there are. */
function decodeInteger(ref: FileRef, data: Buffer): string {
  const text = decodeText(ref, data, 'NOT_AN_INTEGER', 'is not a decimal integer').trim();
  const digits = /^([+-]?)0*(\d+)$/.exec(text);
  if (!digits) {
    const start = JSON.stringify(text.slice(0, 40));
    throw unfit(ref, 'NOT_AN_INTEGER', `is not a decimal integer: it holds ${start}`);
  }
  const [, sign, magnitude = ''] = digits;
  return sign === '-' && magnitude !== '0' ? `-${magnitude}` : magnitude;
}

function checkJson(ref: FileRef, data: Buffer): Buffer {
  const text = decodeText(ref, data, 'NOT_JSON', 'is not JSON: it is not UTF-8 text');
  try {
    JSON.parse(text);
    return data;
  } catch (error) {
    throw unfit(ref, 'NOT_JSON', 'is not JSON', error);
  }
}

function unfit(ref: FileRef, reason: string, problem: string, cause?: unknown): FractoryError {
  const text = `${nameOf(ref)} ${problem}`;
  return new FractoryError(status.FAILED_PRECONDITION, reason, text, { cause });
}
