import { formatTraceparent, parseTraceparent } from '../../../runtime/tracing/traceparent.js';
import { assert, suite } from '../../suite.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const sound: readonly (readonly [what: string, text: string, flags: number])[] = [
  ['a recorded trace', `00-${TRACE}-${SPAN}-01`, 1],
  ['a trace that is not recorded', `00-${TRACE}-${SPAN}-00`, 0],
  ['flags of later levels', `00-${TRACE}-${SPAN}-ff`, 255],
  ['a later version', `cc-${TRACE}-${SPAN}-01`, 1],
  ['a later version with more fields', `01-${TRACE}-${SPAN}-01-what-the-future-will-be`, 1],
];

const unsound: readonly (readonly [what: string, text: string])[] = [
  ['nothing', ''],
  ['version ff', `ff-${TRACE}-${SPAN}-01`],
  ['version 00 with more fields', `00-${TRACE}-${SPAN}-01-more`],
  ['more digits than flags have', `00-${TRACE}-${SPAN}-011`],
  ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['upper-case digits', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
  ['a digit that is none', `00-${TRACE}-${SPAN.slice(1)}g-01`],
  ['space around it', ` 00-${TRACE}-${SPAN}-01`],
];

suite('traceparent (W3C Trace Context, section 3.2)', (test) => {
  for (const [what, text, flags] of sound)
    test(`${what} is read`, () => {
      assert.equal(parseTraceparent(text), { traceId: TRACE, spanId: SPAN, flags });
    });
  for (const [what, text] of unsound)
    test(`${what} is ignored`, () => {
      assert.is(parseTraceparent(text), undefined);
    });

  test('what is formatted reads the same', () => {
    for (const flags of [0, 1, 16, 255]) {
      const parts = { traceId: TRACE, spanId: SPAN, flags };
      assert.equal(parseTraceparent(formatTraceparent(parts)), parts);
    }
    assert.is(
      formatTraceparent({ traceId: TRACE, spanId: SPAN, flags: 1 }),
      `00-${TRACE}-${SPAN}-01`,
    );
  });
});
