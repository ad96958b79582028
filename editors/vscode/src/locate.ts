/** Which command starts the server: every place that may have it, in order, and why each one did or did not do. */

import * as path from 'node:path';

/** A command that may start the server. `program` answers `--version`; with `arguments_` added it serves. */
export interface Candidate {
  readonly program: readonly string[];
  readonly arguments_: readonly string[];
  readonly reason: string;
}

export interface Places {
  /** `backtrail.server.path`, null when the person left it alone. */
  readonly setting: readonly string[] | null;
  /** The interpreter that the Python extension has active, null without one. */
  readonly interpreter: string | null;
  /** Folders of the workspace, absolute. */
  readonly folders: readonly string[];
  readonly platform: NodeJS.Platform;
}

export interface Found {
  readonly command: readonly string[];
  /** Null for a command of the person's own that has no `serve` in it and so cannot be asked. */
  readonly version: string | null;
  readonly reason: string;
}

export interface NotFound {
  /** One sentence a place: what was tried and what came of it. */
  readonly tried: readonly string[];
}

/** Runs a command and gives its standard output; rejects when it cannot be started or fails. */
export type Run = (command: readonly string[]) => Promise<string>;

/** The oldest server whose commands and settings this extension knows. */
export const OLDEST = '0.1.0';

const SERVE = 'serve';

export function candidates(places: Places): Candidate[] {
  if (places.setting !== null && places.setting.length > 0) {
    return [fromSetting(places.setting)];
  }
  const found: Candidate[] = [];
  if (places.interpreter !== null) {
    found.push({
      // -P keeps a file of the workspace from standing in for the server's package.
      program: [places.interpreter, '-P', '-m', 'backtrail_server'],
      arguments_: [SERVE],
      reason: 'the interpreter chosen in the Python extension',
    });
  }
  for (const folder of places.folders) {
    found.push({
      program: [scriptIn(path.join(folder, '.venv'), places.platform)],
      arguments_: [SERVE],
      reason: `.venv of ${path.basename(folder)}`,
    });
  }
  found.push({ program: ['backtrail'], arguments_: [SERVE], reason: 'PATH' });
  return found;
}

function fromSetting(command: readonly string[]): Candidate {
  const serve = command.lastIndexOf(SERVE);
  const end = serve < 0 ? command.length : serve;
  return {
    program: command.slice(0, end),
    arguments_: command.slice(end),
    reason: 'the setting backtrail.server.path',
  };
}

function scriptIn(environment: string, platform: NodeJS.Platform): string {
  return platform === 'win32'
    ? path.join(environment, 'Scripts', 'backtrail.exe')
    : path.join(environment, 'bin', 'backtrail');
}

/** Asks each candidate for its version, in order, and takes the first that is new enough. */
export async function firstThatWorks(list: readonly Candidate[], run: Run): Promise<Found | NotFound> {
  const tried: string[] = [];
  for (const candidate of list) {
    const command = [...candidate.program, ...candidate.arguments_];
    if (candidate.arguments_[0] !== SERVE) {
      return { command, version: null, reason: candidate.reason };
    }
    const answer = await versionOf(candidate, run);
    if ('version' in answer && !olderThan(answer.version, OLDEST)) {
      return { command, version: answer.version, reason: candidate.reason };
    }
    const why = 'version' in answer ? `is ${answer.version}; ${OLDEST} or newer is needed` : answer.problem;
    tried.push(`${candidate.reason}: ${candidate.program.join(' ')} ${why}`);
  }
  return { tried };
}

async function versionOf(candidate: Candidate, run: Run): Promise<{ version: string } | { problem: string }> {
  try {
    const output = await run([...candidate.program, '--version']);
    const match = /\bbacktrail (\d+\.\d+\S*)/.exec(output);
    return match?.[1] !== undefined ? { version: match[1] } : { problem: 'is not Backtrail' };
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

function problemOf(error: unknown): string {
  const failure = error as { code?: unknown; stderr?: unknown };
  if (failure.code === 'ENOENT') {
    return 'is not there';
  }
  const lines = typeof failure.stderr === 'string' ? failure.stderr.trim().split('\n') : [];
  return `failed: ${lines.at(-1) || (error instanceof Error ? error.message : String(error))}`;
}

/** Compares the leading numbers; what follows them (`rc1`, `.dev0`) does not count. */
export function olderThan(version: string, wanted: string): boolean {
  const numbers = (text: string) => text.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const [have, want] = [numbers(version), numbers(wanted)];
  for (let index = 0; index < Math.max(have.length, want.length); index += 1) {
    const difference = (have[index] ?? 0) - (want[index] ?? 0);
    if (difference !== 0) {
      return difference < 0;
    }
  }
  return false;
}

/** The command to type to get a server, into the active interpreter's environment where there is one. */
export function installCommand(interpreter: string | null): string {
  const requirement = '"backtrail[model]"';
  return interpreter === null
    ? `pipx install ${requirement}`
    : `"${interpreter}" -m pip install ${requirement}`;
}
