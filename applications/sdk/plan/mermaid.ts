import { shownFixed, shownMap } from './plan.js';
import type { Plan, PlanLevel, PlanStep } from './plan.js';

/** A plan as a Mermaid flowchart: for Markdown, wikis and https://mermaid.live. */
export function planAsMermaid(plan: Plan): string[] {
  const names = new Map<string, string>();
  const lines = ['flowchart TD', ...levelLines(plan, '', names)];
  return [...lines, '  result(["result"])', ...endLines(plan, 'result', names)];
}

function levelLines(level: PlanLevel, inlet: string, names: Map<string, string>): string[] {
  const nodes = level.steps.flatMap((step) => nodeLines(step, names));
  const edges = level.edges.map(({ from, to, argument, onFailure }) => {
    const source = from === '' ? inlet : (names.get(from) ?? '');
    const label = onFailure ? 'failure' : argument === 'input' ? '' : argument;
    const arrow = onFailure ? '-.->' : '-->';
    return `  ${source} ${arrow}${label === '' ? '' : `|${quoted(label)}|`} ${names.get(to) ?? ''}`;
  });
  return [...nodes, ...edges];
}

function nodeLines(step: PlanStep, names: Map<string, string>): string[] {
  const name = `s${String(names.size + 1)}`;
  names.set(step.id, name);
  if (!step.each) {
    const members = step.members.length > 0 ? ` on ${step.members.join(', ')}` : '';
    const lines = [step.id, `${step.operation}${members}`, shownFixed(step)];
    return [`  ${name}[${quoted(...lines.filter((line) => line !== ''))}]`];
  }
  const [inlet, outlet] = [`${name}in`, `${name}out`];
  const inner = [
    `  ${inlet}(["element"])`,
    ...levelLines(step.each, inlet, names),
    `  ${outlet}(["its result"])`,
    ...endLines(step.each, outlet, names),
  ];
  return [
    `  subgraph ${name} [${quoted(`${step.id}: ${shownMap(step)}`)}]`,
    ...inner.map((line) => `  ${line}`),
    '  end',
  ];
}

function endLines(level: PlanLevel, outlet: string, names: ReadonlyMap<string, string>): string[] {
  return level.ends.map((id) => `  ${names.get(id) ?? ''} --> ${outlet}`);
}

/** Lines of a label; what Mermaid would read as its own becomes an entity. */
function quoted(...lines: readonly string[]): string {
  const safe = lines.map((line) =>
    line.replaceAll(/[#"<>&;`]/g, (character) => `#${String(character.charCodeAt(0))};`),
  );
  return `"${safe.join('<br/>')}"`;
}
