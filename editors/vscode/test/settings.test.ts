import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { EXTENSION_ONLY, forServer, type Inspected } from '../src/settings';

interface Manifest {
  contributes: { configuration: { properties: { [name: string]: { default: unknown; scope?: string } } } };
}
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
const properties = manifest.contributes.configuration.properties;
const names = Object.keys(properties);

function sent(set: { [name: string]: Inspected }, interpreter: string | null = null) {
  return forServer(names, (name) => set[name], interpreter);
}

test('what nobody set is not sent, so that the project keeps its say', () => {
  assert.deepEqual(sent({ 'backtrail.onSave': {} }), {});
});

test('names become nested objects without the prefix', () => {
  const set = {
    'backtrail.limits.wallSeconds': { globalValue: 3 },
    'backtrail.limits.memoryMb': { globalValue: 512 },
    'backtrail.onSave': { globalValue: 'off' },
  };
  assert.deepEqual(sent(set), { limits: { wallSeconds: 3, memoryMb: 512 }, onSave: 'off' });
});

test('the most specific place wins', () => {
  const set = { 'backtrail.fix.seed': { globalValue: 1, workspaceValue: 2, workspaceFolderValue: 3 } };
  assert.deepEqual(sent(set), { fix: { seed: 3 } });
});

test('false and zero are values', () => {
  const set = {
    'backtrail.codeLens.enabled': { globalValue: true, workspaceValue: false },
    'backtrail.fix.seed': { globalValue: 0 },
  };
  assert.deepEqual(sent(set), { codeLens: { enabled: false }, fix: { seed: 0 } });
});

test('the settings of the extension itself stay here', () => {
  const set = Object.fromEntries(EXTENSION_ONLY.map((name) => [name, { globalValue: 'verbose' }]));
  assert.ok(EXTENSION_ONLY.every((name) => names.includes(name)));
  assert.deepEqual(sent(set), {});
});

test("the Python extension's interpreter stands in where none is named", () => {
  assert.deepEqual(sent({}, '/env/bin/python'), { python: '/env/bin/python' });
  const set = { 'backtrail.python': { workspaceValue: '/mine' } };
  assert.deepEqual(sent(set, '/env/bin/python'), { python: '/mine' });
});

test('a repository cannot choose what is started or where source code goes', () => {
  for (const name of ['backtrail.server.path', 'backtrail.model.token', 'backtrail.model.allowHosts']) {
    assert.equal(properties[name]?.scope, 'machine', name);
  }
});
