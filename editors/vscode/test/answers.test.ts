import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isExplanation, presentation, type Shown, stoppedProgram } from '../src/answers';

const NOTHING: Shown = { kind: 'nothing' };

const table: [string, string, unknown, Shown][] = [
  [
    'an explanation is a document',
    'backtrail.explain',
    { title: 'test_x failed', markdown: '**why**' },
    { kind: 'document', title: 'test_x failed', markdown: '**why**' },
  ],
  [
    'a document without a title gets one',
    'backtrail.showPrompt',
    { markdown: 'prompt' },
    { kind: 'document', title: 'What the model saw', markdown: 'prompt' },
  ],
  ['the server tells of a fix by itself', 'backtrail.fix', { found: true, title: 'Fix', message: '-x' }, NOTHING],
  ['a run that started shows itself', 'backtrail.trace', { started: true, reason: 'tests' }, NOTHING],
  [
    'a run that did not start says why',
    'backtrail.trace',
    { started: false, reason: 'syntax error' },
    { kind: 'warning', text: 'syntax error' },
  ],
  ['no answer is shown as nothing', 'backtrail.explain', null, NOTHING],
  ['an answer of another shape is shown as nothing', 'backtrail.explain', ['x'], NOTHING],
  ['a field of another type is not shown', 'backtrail.explain', { markdown: 7 }, NOTHING],
];

for (const [name, command, answer, expected] of table) {
  test(name, () => assert.deepEqual(presentation(command, answer), expected));
}

test('an explanation is known by its file', () => {
  assert.ok(isExplanation('file:///data/pages/weather-1a2b3c4d-explanation.md'));
  assert.ok(!isExplanation('file:///data/pages/weather-1a2b3c4d-fix.diff'));
  assert.ok(!isExplanation('https://example.org/x-explanation.md'));
});

test('a stopped program is attached to when the answer is whole', () => {
  const where = { host: '127.0.0.1', port: 5678, token: 'abc' };
  assert.deepEqual(stoppedProgram({ ready: true, ...where, pid: 7 }), where);
  for (const answer of [null, 'x', {}, { ready: false, ...where }, { ready: true, ...where, port: '5678' }]) {
    assert.equal(stoppedProgram(answer), null);
  }
});
