import { callHints } from '../../launcher/call-hints.js';
import { coloursFor } from '../../launcher/colours.js';
import { mergeLines } from '../../launcher/log-merge.js';
import { LogPainter } from '../../launcher/log-painter.js';
import { describeMember, memberTable } from '../../launcher/member-status.js';
import type { MemberStatus } from '../../launcher/member-status.js';
import { stopStages } from '../../launcher/stop-order.js';
import { formatTable } from '../../launcher/table.js';
import { readTerminal } from '../../config/terminal.js';
import { member } from '../controllers/kernel/member-list.js';
import { assert, suite } from '../suite.js';

const math: MemberStatus = {
  ...{ id: 'math-1', type: 'math', address: '127.0.0.1:5000', pid: 7 },
  ...{ leader: true, epoch: '18446744073709551615', state: 'SERVING' },
};
const starting: MemberStatus = {
  ...{ id: 'cnn-1', type: 'cnn', address: '', pid: 8, leader: false, epoch: '0' },
  state: 'STARTING',
};

suite('tables', (test) => {
  test('columns are as wide as their widest cell and lines have no blanks at the end', () => {
    assert.is(
      formatTable(
        ['A', 'LONG'],
        [
          ['xyz', ''],
          ['', 'v'],
        ],
      ),
      'A    LONG\nxyz\n     v',
    );
  });

  test('a member that has not registered has no address and no epoch', () => {
    assert.equal(memberTable([math, starting]).split('\n'), [
      'MEMBER  TYPE  ADDRESS         LEADER  EPOCH                 PID  STATE',
      'math-1  math  127.0.0.1:5000  leader  18446744073709551615  7    SERVING',
      'cnn-1   cnn   -                       -                     8    STARTING',
    ]);
  });

  test('hints name real addresses and what the mode of security asks for', () => {
    const open = callHints([math], { mode: 'open' }, 'grpcurl');
    assert.is(open[0], 'grpcurl -plaintext 127.0.0.1:5000 list');
    assert.match(open[1] ?? '', /127\.0\.0\.1:5000 fractory\.v1\.MathService\/Factorial$/);
    const token = callHints([math], { mode: 'token', token: 'confidential' }, 'grpcurl').join('\n');
    assert.match(token, /authorization: Bearer TOKEN/);
    assert.not.match(token, /confidential/);
    assert.equal(callHints([], { mode: 'open' }, 'grpcurl'), []);
  });

  test('hints ask the leader of storage, and without grpcurl they call buf', () => {
    const storage = (id: string, address: string, leader: boolean): MemberStatus => ({
      ...{ ...math, id, type: 'storage', address, leader },
    });
    const members = [
      storage('storage-2', '127.0.0.1:5002', false),
      storage('storage-1', '127.0.0.1:5001', true),
    ];
    const curl = 'node_modules/.bin/buf curl --protocol grpc --http2-prior-knowledge';
    assert.equal(callHints(members, { mode: 'open' }, 'buf'), [
      `${curl} --list-services http://127.0.0.1:5002`,
      `${curl} -d '{"client": "admin"}' http://127.0.0.1:5001/fractory.v1.StorageService/List`,
    ]);
  });
});

suite('a member as status describes it', (test) => {
  test('tells where it gossips, if it does', () => {
    const silent = member('math-1');
    const gossiping = member('math-2', { gossipAddress: '127.0.0.1:7946' });
    const members = [silent, gossiping];
    const [one, other] = members.map((each) => describeMember(each, members, 'SERVING'));
    assert.not.ok(one && 'gossipAddress' in one);
    assert.is(other?.gossipAddress, '127.0.0.1:7946');
  });
});

suite('log painter', (test) => {
  const plain = (): LogPainter => new LogPainter(coloursFor(false));

  test('a JSON line becomes time, member, level, message and fields', () => {
    const line = plain().paint(
      'math-1',
      '{"level":"warn","time":"2026-01-02T03:04:05.678Z","member":"math-1","msg":"slow","ms":7,"why":"load"}',
    );
    assert.match(line, /^\d\d:\d\d:05\.678 math-1 {9}WARN {2}slow ms=7 why=load$/);
  });

  test('an error shows its message and its stack', () => {
    const line = plain().paint(
      'math-1',
      '{"level":"error","msg":"broken","err":{"message":"no","stack":"Error: no\\n    at here"}}',
    );
    assert.match(line, /ERROR broken error=no\n +at here$/);
  });

  for (const line of ['Killed', '{not json', '{"level":"info"'])
    test(`what is no JSON is shown as it is: ${line}`, () => {
      assert.ok(plain().paint('math-1', line).endsWith(` ${line}`));
    });

  test('each member keeps a colour of its own', () => {
    const painter = new LogPainter(coloursFor(true));
    const colourOf = (member: string): string | undefined =>
      // eslint-disable-next-line no-control-regex -- colours are control characters
      /(\u001b\[3\dm)[a-z]/.exec(painter.paint(member, 'text'))?.[1];
    const one = colourOf('a');
    assert.ok(one);
    assert.is.not(one, colourOf('b'));
    assert.is(one, colourOf('a'));
  });
});

suite('merged logs', (test) => {
  test('lines come in order of time, and one without a time stays behind the one above it', () => {
    const at = (time: string): string => `{"time":"${time}"}`;
    const merged = mergeLines([
      [
        { from: 'a', line: at('1') },
        { from: 'a', line: 'stack of 1' },
        { from: 'a', line: at('3') },
      ],
      [{ from: 'b', line: at('2') }],
    ]);
    assert.equal(
      merged.map(({ line }) => line),
      [at('1'), 'stack of 1', at('2'), at('3')],
    );
  });
});

suite('stop order', (test) => {
  test('those that need others stop before those that are needed', () => {
    const types = ['block', 'storage', 'math', 'application', 'cnn', 'storage'];
    assert.equal(stopStages(types), ['application', 'cnn', 'math', 'storage', 'block']);
  });

  test('a type of tomorrow stops between', () => {
    assert.equal(stopStages(['storage', 'zipper', 'application']), [
      'application',
      'zipper',
      'storage',
    ]);
  });
});

suite('terminal', (test) => {
  const terminal = (): boolean => true;
  const pipe = (): boolean => false;
  const cases: readonly (readonly [string, NodeJS.ProcessEnv, () => boolean, boolean])[] = [
    ['a terminal has colours', { TERM: 'xterm' }, terminal, true],
    ['a pipe has none', { TERM: 'xterm' }, pipe, false],
    ['NO_COLOR turns them off', { NO_COLOR: '1', FORCE_COLOR: '1' }, terminal, false],
    ['an empty NO_COLOR does nothing', { NO_COLOR: '' }, terminal, true],
    ['FORCE_COLOR turns them on', { FORCE_COLOR: '1' }, pipe, true],
    ['a dumb terminal has none', { TERM: 'dumb' }, terminal, false],
  ];
  for (const [claim, environment, isTerminal, coloured] of cases)
    test(claim, () => {
      assert.is(readTerminal(environment, isTerminal).outputColours, coloured);
    });
});
