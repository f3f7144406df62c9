import { readFile } from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import { parse } from 'ini';

import { FractoryError, messageOf, systemCodeOf } from '../runtime/errors.js';
import type { Problem } from './problems.js';
import { foundText } from './values.js';
import type { RawSection } from './values.js';

/** An ini file as written: sections by name, and what is not even a section. */
export interface IniFile {
  readonly sections: ReadonlyMap<string, RawSection>;
  readonly problems: readonly Problem[];
}

export async function readIniFile(file: string): Promise<IniFile> {
  try {
    return parseIni(await readFile(file, 'utf8'));
  } catch (error) {
    const missing = systemCodeOf(error) === 'ENOENT';
    throw new FractoryError(
      missing ? status.NOT_FOUND : status.FAILED_PRECONDITION,
      missing ? 'CONFIG_NOT_FOUND' : 'CONFIG_NOT_READABLE',
      missing ? `there is no configuration ${file}` : `${file} can't be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

export function parseIni(content: string): IniFile {
  const sections = new Map<string, RawSection>();
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(parse(withWholeHeaders(content, problems)))) {
    if (typeof value === 'object' && value !== null) sections.set(name, value as RawSection);
    else
      problems.push({
        section: '',
        key: name,
        expected: 'a [Section] above the first key',
        found: foundText(value),
      });
  }
  return { sections, problems };
}

/** The parser takes a header that isn't whole for a key; so it gets the one that was meant, and what stands below it is read too. */
function withWholeHeaders(content: string, problems: Problem[]): string {
  const lines = content.split(/\r\n|\r|\n/).map((line, index) => {
    const header = /^\s*\[([^\]=;#]*)(\]?)(.*)$/.exec(line);
    if (!header || /^\[[^\]]*\]\s*$/.test(line)) return line;
    const [, name = '', bracket, rest = ''] = header;
    const whole = `[${name.trim()}]`;
    const isClosed = bracket === ']';
    // Blanks in front of it, or a comment behind it, say nothing else.
    if (!isClosed || !/^\s*([;#].*)?$/.test(rest))
      problems.push({
        section: '',
        key: `line ${String(index + 1)}`,
        expected: whole,
        found: foundText(line.trim()),
        statement: isClosed
          ? `section header with text behind ]: ${line.trim()}`
          : `section header without ]: ${line.trim()}`,
      });
    return whole;
  });
  return lines.join('\n');
}
