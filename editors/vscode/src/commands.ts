/** The command palette's entries. Each hands the active file to a command of the server. */

import * as vscode from 'vscode';

import { presentation } from './answers';
import { attach } from './debug';
import type { Documents } from './documents';

/** Ours -> the server's. The language client registers the server's own under their own names. */
const ABOUT_FILE: { readonly [command: string]: string } = {
  'backtrail.traceFile': 'backtrail.trace',
  'backtrail.explainFailure': 'backtrail.explain',
  'backtrail.fixFailure': 'backtrail.fix',
  'backtrail.debugFailure': 'backtrail.debug',
  'backtrail.compareFailure': 'backtrail.divergence',
  'backtrail.showModelPrompt': 'backtrail.showPrompt',
};

export function registerCommands(restart: () => Promise<void>): vscode.Disposable {
  return vscode.Disposable.from(
    ...Object.entries(ABOUT_FILE).map(([ours, theirs]) =>
      vscode.commands.registerCommand(ours, () => aboutActiveFile(theirs)),
    ),
    vscode.commands.registerCommand('backtrail.whyValue', () => aboutActiveFile('backtrail.why', true)),
    vscode.commands.registerCommand('backtrail.showStatus', () => run('backtrail.status')),
    vscode.commands.registerCommand('backtrail.restart', restart),
  );
}

async function aboutActiveFile(command: string, withPlace = false): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const document = editor?.document;
  if (document?.languageId !== 'python') {
    void vscode.window.showInformationMessage('Backtrail: open a Python file first.');
    return;
  }
  if (document.isDirty) {
    // What runs is what is on disk.
    await document.save();
  }
  const { line, character } = editor?.selection.active ?? new vscode.Position(0, 0);
  await run(command, document.uri.toString(), ...(withPlace ? [{ line, character }] : []));
}

async function run(command: string, ...parameters: unknown[]): Promise<void> {
  const known = await vscode.commands.getCommands(true);
  if (!known.includes(command)) {
    void vscode.window.showWarningMessage(
      'Backtrail: the server is not running. "Backtrail: Restart Server" starts it and says what is wrong.',
    );
    return;
  }
  await vscode.commands.executeCommand(command, ...parameters);
}

/** Shows the server's answer to any of its commands, wherever the command came from. */
export async function present(command: string, answer: unknown, documents: Documents): Promise<void> {
  if (command === 'backtrail.debug' && (await attach(answer))) {
    return;
  }
  const shown = presentation(command, answer);
  if (shown.kind === 'document') {
    await documents.show(shown.title, shown.markdown);
  } else if (shown.kind === 'warning') {
    void vscode.window.showWarningMessage(`Backtrail: ${shown.text}`);
  }
}
