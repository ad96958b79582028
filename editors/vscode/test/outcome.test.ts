import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isFailure, Outcomes } from '../src/outcome';

test('the last message of a run is its outcome', () => {
  const outcomes = new Outcomes();
  assert.equal(outcomes.follow('a', { kind: 'begin', title: 'Tracing tests of x.py' }), null);
  assert.equal(outcomes.follow('a', { kind: 'report', message: '1 passed' }), null);
  assert.equal(outcomes.follow('a', { kind: 'end', message: '2 passed' }), '2 passed');
});

test('a run is told apart from a search and from another run', () => {
  const outcomes = new Outcomes();
  outcomes.follow('search', { kind: 'begin', title: 'Searching a fix: IndexError' });
  outcomes.follow(1, { kind: 'begin', title: 'Tracing a' });
  outcomes.follow(2, { kind: 'begin', title: 'Tracing b' });
  assert.equal(outcomes.follow('search', { kind: 'end', message: 'found' }), null);
  assert.equal(outcomes.follow(2, { kind: 'end', message: '1 failed' }), '1 failed');
  assert.equal(outcomes.follow(1, { kind: 'end' }), '');
});

test('an end is told once', () => {
  const outcomes = new Outcomes();
  outcomes.follow(1, { kind: 'begin', title: 'Tracing a' });
  outcomes.follow(1, { kind: 'end', message: 'x' });
  assert.equal(outcomes.follow(1, { kind: 'end', message: 'x' }), null);
});

test('what counts as a failure', () => {
  const failures = ['1 passed, 1 failed', '1 error', '2 stopped', 'timeout', 'died'];
  const others = ['3 passed', '1 skipped', 'completed', ''];
  assert.deepEqual(failures.filter((outcome) => !isFailure(outcome)), []);
  assert.deepEqual(others.filter(isFailure), []);
});
