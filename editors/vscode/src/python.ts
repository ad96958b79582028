/** The interpreter that Microsoft's Python extension has active. That extension is optional. */

import * as vscode from 'vscode';

const EXTENSION = 'ms-python.python';

/** The part of its public interface that is used here. */
interface Environments {
  getActiveEnvironmentPath(resource?: vscode.Uri): { readonly path: string };
  resolveEnvironment(
    environment: unknown,
  ): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
  readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
}

async function environments(): Promise<Environments | null> {
  const extension = vscode.extensions.getExtension<{ environments?: Environments }>(EXTENSION);
  if (extension === undefined) {
    return null;
  }
  const api = extension.isActive ? extension.exports : await extension.activate();
  return api?.environments ?? null;
}

/** Absolute path of the interpreter; null without the extension or without a Python. */
export async function activeInterpreter(log: vscode.LogOutputChannel): Promise<string | null> {
  try {
    const known = await environments();
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const resolved = await known?.resolveEnvironment(known.getActiveEnvironmentPath(folder));
    return resolved?.executable.uri?.fsPath ?? null;
  } catch (error) {
    log.warn(`The Python extension did not name an interpreter: ${String(error)}`);
    return null;
  }
}

/** Calls `listener` whenever the person chooses another interpreter. */
export async function onInterpreterChange(listener: () => void): Promise<vscode.Disposable> {
  const known = await environments().catch(() => null);
  return known?.onDidChangeActiveEnvironmentPath(listener) ?? { dispose() {} };
}
