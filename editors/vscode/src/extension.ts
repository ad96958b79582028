import * as vscode from 'vscode';

import { registerCommands } from './commands';
import { registerDebugger } from './debug';
import { Documents } from './documents';
import { onInterpreterChange } from './python';
import { Server } from './server';
import { StatusItem } from './statusItem';

let server: Server | null = null;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel('Backtrail', { log: true });
  const documents = new Documents();
  const status = new StatusItem();
  const running = new Server(settingNames(context.extension), log, documents, status);
  server = running;
  context.subscriptions.push(
    log,
    documents,
    status,
    registerCommands(() => running.restart()),
    registerDebugger(),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('backtrail.server.path')) {
        void running.restart();
      }
    }),
    await onInterpreterChange(() => running.interpreterChanged()),
  );
  await running.start();
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** The manifest is where the names are, so that no second list can differ from it. */
function settingNames(extension: vscode.Extension<unknown>): string[] {
  const manifest = extension.packageJSON as { contributes: { configuration: { properties: object } } };
  return Object.keys(manifest.contributes.configuration.properties);
}
