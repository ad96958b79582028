import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { item, type Running } from '../src/status';

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  contributes: { commands: { command: string }[] };
};
const commands = manifest.contributes.commands.map((entry) => entry.command);

const running: Running = { state: 'running', version: '0.1.0', outcome: null, markdown: null };

test('a click always runs a command that the manifest has', () => {
  const states = ['starting', 'missing', 'failed', 'stopped'] as const;
  for (const state of states) {
    assert.ok(commands.includes(item({ state }).command), state);
  }
  assert.ok(commands.includes(item(running).command));
});

test('trouble is marked, and a click tries again', () => {
  for (const state of ['missing', 'failed', 'stopped'] as const) {
    assert.deepEqual([item({ state }).warning, item({ state }).command], [true, 'backtrail.restart'], state);
  }
});

test('the bar shows how the last run went', () => {
  const table: [string | null, string][] = [
    [null, '$(debug-step-back) Backtrail'],
    ['2 passed', '$(pass) 2 passed'],
    ['1 passed, 1 failed', '$(error) 1 passed, 1 failed'],
    ['', '$(pass) Backtrail'],
  ];
  for (const [outcome, text] of table) {
    assert.equal(item({ ...running, outcome }).text, text);
  }
});

test('the tooltip is the version, then what the server says of itself', () => {
  assert.equal(item(running).tooltip, 'Backtrail 0.1.0 is running');
  assert.equal(item({ ...running, version: null }).tooltip, 'Backtrail is running');
  assert.equal(item({ ...running, markdown: '**host** up' }).tooltip, '**host** up');
});
