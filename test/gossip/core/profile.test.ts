import { readFileSync } from 'node:fs';
import path from 'node:path';

import { projectRoot } from '../../../config/paths.js';
import { profiles } from '../../../gossip/core/profile.js';
import type { Profile } from '../../../gossip/core/profile.js';
import { assert, suite } from '../../suite.js';

const names = ['lan', 'wan', 'local', 'fast'] as const;
const knobs = Object.keys(profiles.lan) as (keyof Profile)[];
const read = (file: string): string => readFileSync(path.join(projectRoot, file), 'utf8');
const valuesOf = (knob: keyof Profile): string[] =>
  names.map((name) => String(profiles[name][knob]));

suite('what is told of the profiles', (test) => {
  test('the table of docs/GOSSIP.md has every knob with its unit, the value in every profile, and what more or less does', () => {
    const [, section = ''] = read('docs/GOSSIP.md').split('\n## Knobs\n');
    const [header = '', , ...rows] = section.split('\n').filter((line) => line.startsWith('|'));
    const cells = (row: string): string[] => row.split('|').map((cell) => cell.trim());
    assert.equal(
      cells(header).slice(3, 7),
      names.map((name) => `\`${name}\``),
    );
    const told = rows.slice(0, knobs.length).map(cells);
    assert.equal(
      told.map(([, knob]) => knob),
      knobs.map((knob) => `\`${knob}\``),
    );
    for (const [, knob = '', unit = '', ...rest] of told) {
      const name = knob.slice(1, -1) as keyof Profile;
      assert.equal(rest.slice(0, 4), valuesOf(name), name);
      const expected = name.endsWith('Ms') ? 'ms' : name.endsWith('Bytes') ? 'bytes' : unit;
      assert.is(unit, expected, name);
      assert.is(unit === '', typeof profiles.lan[name] === 'boolean', name);
      assert.ok((rest[4] ?? '').length > 20, name);
    }
  });

  test('the text of every field has its value in every profile, and its unit', () => {
    const source = read('gossip/core/profile.ts');
    for (const knob of knobs) {
      const [before = ''] = source.split(`\n  readonly ${knob}:`);
      const text = before.slice(before.lastIndexOf('/**')).replaceAll(/\s*\n\s*\*\s*/g, ' ');
      const values = valuesOf(knob);
      const told = new Set(values).size === 1 ? `all ${String(values[0])}` : values.join(', ');
      assert.match(text, new RegExp(`: ${told}\\.`), knob);
      if (knob.endsWith('Ms')) assert.ok(text.includes(`ms: ${told}.`), knob);
    }
  });
});
