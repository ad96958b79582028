/** Finds the server, starts it, and keeps it told of the settings. */

import { execFile } from 'node:child_process';
import * as os from 'node:os';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import { LanguageClient, type LanguageClientOptions, State } from 'vscode-languageclient/node';

import { isExplanation } from './answers';
import { present } from './commands';
import type { Documents } from './documents';
import { candidates, firstThatWorks, installCommand, type Found, type NotFound } from './locate';
import { activeInterpreter } from './python';
import { Outcomes } from './outcome';
import { forServer, type Settings } from './settings';
import type { Running } from './status';
import type { StatusItem } from './statusItem';

const VERSION_TIMEOUT_MS = 10_000;

const execute = promisify(execFile);

export class Server {
  private client: LanguageClient | null = null;
  private interpreter: string | null = null;
  private running: Running = { state: 'running', version: null, outcome: null, markdown: null };
  private readonly outcomes = new Outcomes();
  /** Starts and stops one after the other, whoever asks. */
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly names: readonly string[],
    private readonly log: vscode.LogOutputChannel,
    private readonly documents: Documents,
    private readonly status: StatusItem,
  ) {}

  start(): Promise<void> {
    return this.enqueue(() => this.startNow());
  }

  stop(): Promise<void> {
    return this.enqueue(() => this.stopNow());
  }

  restart(): Promise<void> {
    return this.enqueue(async () => {
      await this.stopNow();
      await this.startNow();
    });
  }

  /** The person chose another interpreter. */
  interpreterChanged(): void {
    this.inBackground(this.updateSettings());
  }

  /** Tells the running server the settings as they are now, and which interpreter is chosen. */
  private async updateSettings(): Promise<void> {
    this.interpreter = await activeInterpreter(this.log);
    await this.client?.sendNotification('workspace/didChangeConfiguration', {
      settings: { backtrail: this.settings() },
    });
  }

  private inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => this.log.warn(String(error)));
  }

  private enqueue(step: () => Promise<void>): Promise<void> {
    this.last = this.last.catch(() => undefined).then(step);
    return this.last;
  }

  private async startNow(): Promise<void> {
    this.status.show({ state: 'starting' });
    this.interpreter = await activeInterpreter(this.log);
    const search = await this.search();
    if ('tried' in search) {
      this.status.show({ state: 'missing' });
      void this.sayWhatToDo(search);
      return;
    }
    this.log.info(`server: ${search.command.join(' ')} (${search.version ?? 'unasked'}; ${search.reason})`);
    const client = this.newClient(search);
    this.client = client;
    this.running = { state: 'running', version: search.version, outcome: null, markdown: null };
    try {
      await client.start();
    } catch (error) {
      this.client = null;
      this.status.show({ state: 'failed' });
      void this.sayItFailed(error);
    }
  }

  private async stopNow(): Promise<void> {
    const client = this.client;
    this.client = null;
    await client?.dispose();
  }

  private search(): Promise<Found | NotFound> {
    const list = candidates({
      setting: vscode.workspace.getConfiguration('backtrail').get<string[] | null>('server.path') ?? null,
      interpreter: this.interpreter,
      folders: (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
      platform: process.platform,
    });
    return firstThatWorks(list, runForOutput);
  }

  private newClient(found: Found): LanguageClient {
    const [command = '', ...args] = found.command;
    const client = new LanguageClient('backtrail', 'Backtrail', { command, args }, this.clientOptions());
    client.onDidChangeState(({ newState }) => {
      // A server that is being replaced stops without anything being wrong; one that crashed comes back.
      if (this.client === client && newState !== State.Starting) {
        this.status.show(newState === State.Running ? this.running : { state: 'stopped' });
      }
    });
    return client;
  }

  private clientOptions(): LanguageClientOptions {
    return {
      documentSelector: [{ scheme: 'file', language: 'python' }],
      outputChannel: this.log,
      initializationOptions: () => this.settings(),
      middleware: {
        executeCommand: async (command, parameters, next) => {
          const answer: unknown = await next(command, parameters);
          await present(command, answer, this.documents);
          return answer;
        },
        handleWorkDoneProgress: (token, parameters, next) => {
          next(token, parameters);
          const outcome = this.outcomes.follow(token, parameters);
          if (outcome !== null) {
            this.inBackground(this.refreshStatus(outcome));
          }
        },
        window: {
          // The same text comes back as the command's answer, which is shown as a preview.
          showDocument: (parameters, token, next) =>
            isExplanation(parameters.uri) ? { success: true } : next(parameters, token),
        },
        workspace: {
          configuration: (parameters) =>
            parameters.items.map((item) => (item.section === 'backtrail' ? this.settings() : null)),
          didChangeConfiguration: () => this.updateSettings(),
        },
      },
    };
  }

  /** Asks the server directly: asked by the command, the answer would open in an editor. */
  private async refreshStatus(outcome: string): Promise<void> {
    const parameters = { command: 'backtrail.status', arguments: [] };
    const client = this.client;
    const answer = await client?.sendRequest<{ markdown?: string } | null>(
      'workspace/executeCommand',
      parameters,
    );
    if (client !== null && client === this.client) {
      this.running = { ...this.running, outcome, markdown: answer?.markdown ?? null };
      this.status.show(this.running);
    }
  }

  private settings(): Settings {
    const configuration = vscode.workspace.getConfiguration();
    return forServer(this.names, (name) => configuration.inspect(name), this.interpreter);
  }

  private async sayWhatToDo(search: NotFound): Promise<void> {
    search.tried.forEach((line) => this.log.warn(`no server: ${line}`));
    const install = installCommand(this.interpreter);
    const [copy, settings, details] = ['Copy Install Command', 'Open Settings', 'Show Log'] as const;
    const chosen = await vscode.window.showErrorMessage(
      `Backtrail's server was not found. Install it (${install}), or name it in backtrail.server.path, ` +
        'then run "Backtrail: Restart Server".',
      copy,
      settings,
      details,
    );
    if (chosen === copy) {
      await vscode.env.clipboard.writeText(install);
    } else if (chosen === settings) {
      await vscode.commands.executeCommand('workbench.action.openSettings', 'backtrail.server.path');
    } else if (chosen === details) {
      this.log.show();
    }
  }

  private async sayItFailed(error: unknown): Promise<void> {
    this.log.error(String(error));
    const details = 'Show Log';
    const message = 'Backtrail: the server was found but did not start. Its log says why.';
    if ((await vscode.window.showErrorMessage(message, details)) === details) {
      this.log.show();
    }
  }
}

/** Runs outside the workspace, so that nothing in it is picked up by accident. */
async function runForOutput(command: readonly string[]): Promise<string> {
  const [file = '', ...args] = command;
  const { stdout } = await execute(file, args, { cwd: os.tmpdir(), timeout: VERSION_TIMEOUT_MS });
  return stdout;
}
