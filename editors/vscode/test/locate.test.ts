import assert from 'node:assert/strict';
import * as path from 'node:path';
import { test } from 'node:test';

import { type Candidate, candidates, firstThatWorks, installCommand, olderThan } from '../src/locate';

const NOWHERE = { setting: null, interpreter: null, folders: [], platform: 'linux' as const };

function commands(list: readonly Candidate[]): string[] {
  return list.map((candidate) => [...candidate.program, ...candidate.arguments_].join(' '));
}

/** Answers for the programs in `table`; everything else is not there. */
function machine(table: { readonly [program: string]: string | Error }) {
  const asked: string[] = [];
  const run = async (command: readonly string[]) => {
    asked.push(command.join(' '));
    const answer = table[command.slice(0, -1).join(' ')];
    if (answer === undefined) {
      throw Object.assign(new Error('spawn'), { code: 'ENOENT' });
    }
    if (answer instanceof Error) {
      throw answer;
    }
    return answer;
  };
  return { run, asked };
}

test('a setting is the only candidate', () => {
  const places = { ...NOWHERE, setting: ['/opt/backtrail', 'serve'], interpreter: '/usr/bin/python3' };
  assert.deepEqual(commands(candidates(places)), ['/opt/backtrail serve']);
});

test('an empty setting is no setting', () => {
  assert.deepEqual(commands(candidates({ ...NOWHERE, setting: [] })), ['backtrail serve']);
});

test('without a setting: interpreter, then .venv of each folder, then PATH', () => {
  const places = { ...NOWHERE, interpreter: '/env/bin/python', folders: ['/code/a', '/code/b'] };
  assert.deepEqual(commands(candidates(places)), [
    '/env/bin/python -P -m backtrail_server serve',
    `${path.join('/code/a', '.venv', 'bin', 'backtrail')} serve`,
    `${path.join('/code/b', '.venv', 'bin', 'backtrail')} serve`,
    'backtrail serve',
  ]);
});

test('on Windows a virtual environment keeps its programs in Scripts', () => {
  const list = commands(candidates({ ...NOWHERE, folders: ['a'], platform: 'win32' }));
  assert.equal(list[0], `${path.join('a', '.venv', 'Scripts', 'backtrail.exe')} serve`);
});

test('the first that answers with a version is taken, and no later one is asked', async () => {
  const { run, asked } = machine({ '/env/bin/python -P -m backtrail_server': 'backtrail 0.1.0\n' });
  const found = await firstThatWorks(candidates({ ...NOWHERE, interpreter: '/env/bin/python' }), run);
  assert.deepEqual(found, {
    command: ['/env/bin/python', '-P', '-m', 'backtrail_server', 'serve'],
    version: '0.1.0',
    reason: 'the interpreter chosen in the Python extension',
  });
  assert.equal(asked.length, 1);
});

test('one that fails is passed over', async () => {
  const broken = Object.assign(new Error('exit 1'), { stderr: 'x\nNo module named backtrail_server\n' });
  const { run } = machine({ '/py -P -m backtrail_server': broken, backtrail: 'backtrail 1.2.3' });
  const found = await firstThatWorks(candidates({ ...NOWHERE, interpreter: '/py' }), run);
  assert.ok('command' in found);
  assert.deepEqual([found.command, found.reason], [['backtrail', 'serve'], 'PATH']);
});

test('when none works, each place is named with what came of it', async () => {
  const broken = Object.assign(new Error('exit 1'), { stderr: 'No module named backtrail_server\n' });
  const { run } = machine({
    '/py -P -m backtrail_server': broken,
    [path.join('/w', '.venv', 'bin', 'backtrail')]: 'backtrail 0.0.9',
    backtrail: 'something else 3.1',
  });
  const found = await firstThatWorks(candidates({ ...NOWHERE, interpreter: '/py', folders: ['/w'] }), run);
  assert.ok('tried' in found);
  assert.equal(found.tried.length, 3);
  assert.match(found.tried[0] ?? '', /Python extension: .*failed: No module named backtrail_server/);
  assert.match(found.tried[1] ?? '', /\.venv of w: .*is 0\.0\.9; 0\.1\.0 or newer is needed/);
  assert.match(found.tried[2] ?? '', /PATH: backtrail is not Backtrail/);
});

test('a program that is not there is said to be not there', async () => {
  const found = await firstThatWorks(candidates(NOWHERE), machine({}).run);
  assert.deepEqual(found, { tried: ['PATH: backtrail is not there'] });
});

test('a setting that is wrong is not replaced by something else', async () => {
  const { run } = machine({ backtrail: 'backtrail 0.1.0' });
  const found = await firstThatWorks(candidates({ ...NOWHERE, setting: ['/gone', 'serve'] }), run);
  assert.ok('tried' in found);
});

test('a command without "serve" in it is started as it is, unasked', async () => {
  const { run, asked } = machine({});
  const found = await firstThatWorks(candidates({ ...NOWHERE, setting: ['ssh', 'box', './start'] }), run);
  assert.ok('command' in found);
  assert.deepEqual([found.command, found.version, asked], [['ssh', 'box', './start'], null, []]);
});

test('versions are compared by number', () => {
  const older: [string, string, boolean][] = [
    ['0.1.0', '0.1.0', false],
    ['0.0.9', '0.1.0', true],
    ['0.10.0', '0.9.0', false],
    ['1.0', '0.9.9', false],
    ['0.1.0.dev3', '0.1.0', false],
    ['0.1', '0.1.1', true],
  ];
  for (const [version, wanted, expected] of older) {
    assert.equal(olderThan(version, wanted), expected, `${version} older than ${wanted}`);
  }
});

test('what to install goes into the active interpreter, else into an environment of its own', () => {
  assert.equal(installCommand('/a b/python'), '"/a b/python" -m pip install "backtrail[model]"');
  assert.equal(installCommand(null), 'pipx install "backtrail[model]"');
});
