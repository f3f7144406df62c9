import { invalidArgument } from '../../runtime/errors.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { jsonValue, kindOf, listValue, toPlain } from '../../protos/values.js';
import type { Adaptor, Operation } from '../adaptor.js';

/** The operations of an application node: small things that graphs need between devices. Pure. */
export function applicationAdaptor(): Adaptor {
  return { type: 'application', operations: [explain, rows] };
}

const explain: Operation = {
  spec: {
    name: 'application.explain',
    summary: 'a failure as JSON: {failed: true, step, member, reason, message}',
    arguments: [
      { name: 'input', summary: 'why a step failed', kinds: ['failure'], required: true },
    ],
    output: ['bytes'],
    idempotent: true,
  },
  perform(args) {
    const kind = args.get('input')?.kind;
    if (kind?.$case !== 'failure') throw invalidArgument('input', 'is not a failure', 'WRONG_KIND');
    const { step, member, reason, message } = kind.value;
    return jsonValue({ failed: true, step, member, reason, message });
  },
};

const rows: Operation = {
  spec: {
    name: 'application.rows',
    summary: 'a list of lists as JSON: an array of objects with these columns',
    arguments: [
      { name: 'input', summary: 'the rows, or the columns', kinds: ['list'], required: true },
      {
        name: 'columns',
        summary: 'names with commas between them, such as picture,prediction',
        kinds: ['text'],
        required: true,
      },
      {
        name: 'by',
        summary: 'row = input has a list for each row (default); column = one for each column',
        kinds: ['text'],
        required: false,
      },
    ],
    output: ['bytes'],
    idempotent: true,
  },
  perform(args) {
    const columns = columnsOf(args.get('columns'));
    const list = args.get('input')?.kind;
    if (list?.$case !== 'list') throw invalidArgument('input', 'is not a list', 'WRONG_KIND');
    const { values } = list.value;
    const given = isByColumn(args.get('by')) ? transposed(values, columns) : values;
    return jsonValue(given.map((row, index) => objectOf(row, index, columns)));
  },
};

const COLUMN = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

function columnsOf(value: Value | undefined): string[] {
  const kind = value?.kind;
  const text = kind?.$case === 'text' ? kind.value : '';
  const columns = text.split(',').map((name) => name.trim());
  const bad = columns.find((name) => !COLUMN.test(name));
  if (bad !== undefined)
    throw invalidArgument('columns', `${JSON.stringify(bad)} is not the name of a column`);
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice !== undefined) throw invalidArgument('columns', `${twice} is there twice`);
  return columns;
}

function isByColumn(value: Value | undefined): boolean {
  const by = value?.kind?.$case === 'text' ? value.kind.value : 'row';
  if (by === 'row' || by === 'column') return by === 'column';
  throw invalidArgument('by', `is ${JSON.stringify(by.slice(0, 40))}, expected row or column`);
}

/** The rows of lists that each are a column. */
function transposed(lists: readonly Value[], columns: readonly string[]): Value[] {
  if (lists.length !== columns.length)
    throw invalidArgument(
      'input',
      `has ${String(lists.length)} lists, there are ${String(columns.length)} columns`,
      'WRONG_LENGTH',
    );
  const cells = lists.map((list, place) => {
    if (list.kind?.$case === 'list') return list.kind.value.values;
    const what = `column ${columns[place] ?? ''} is ${kindOf(list) ?? 'empty'}, expected list`;
    throw invalidArgument('input', what, 'WRONG_KIND');
  });
  const [first = []] = cells;
  const uneven = cells.findIndex((column) => column.length !== first.length);
  if (uneven >= 0)
    throw invalidArgument(
      'input',
      `column ${columns[uneven] ?? ''} has ${String(cells[uneven]?.length)} values, ${columns[0] ?? ''} has ${String(first.length)}`,
      'WRONG_LENGTH',
    );
  return first.map((_, row) => listValue(cells.map((column) => column[row] ?? {})));
}

/** A row is a list with a value for each column; where there is one column only, the value itself will do. */
function objectOf(row: Value, index: number, columns: readonly string[]): Record<string, unknown> {
  const kind = row.kind;
  const isBare = columns.length === 1 && kind?.$case !== 'list';
  if (!isBare && kind?.$case !== 'list')
    throw invalidArgument(
      'input',
      `row ${String(index)} is ${kindOf(row) ?? 'empty'}, expected list`,
      'WRONG_KIND',
    );
  const values = kind?.$case === 'list' ? kind.value.values : [row];
  if (values.length !== columns.length)
    throw invalidArgument(
      'input',
      `row ${String(index)} has ${String(values.length)} values, there are ${String(columns.length)} columns`,
      'WRONG_LENGTH',
    );
  return Object.fromEntries(columns.map((name, place) => [name, toPlain(values[place])]));
}
