/** Attaches VS Code's debugger to the program that stands still at its failure. */

import * as vscode from 'vscode';

import { stoppedProgram } from './answers';

const TYPE = 'backtrail';

/** The server speaks the debug adapter protocol at the address it gave: nothing has to be started. */
export function registerDebugger(): vscode.Disposable {
  return vscode.debug.registerDebugAdapterDescriptorFactory(TYPE, {
    createDebugAdapterDescriptor: ({ configuration }) =>
      new vscode.DebugAdapterServer(Number(configuration['port']), String(configuration['host'])),
  });
}

/** Whether the answer of `backtrail.debug` was one to attach to. */
export async function attach(answer: unknown): Promise<boolean> {
  const stopped = stoppedProgram(answer);
  if (stopped === null) {
    return false;
  }
  const name = 'Backtrail: the failed program';
  if (!(await vscode.debug.startDebugging(undefined, { type: TYPE, request: 'attach', name, ...stopped }))) {
    void vscode.window.showWarningMessage('Backtrail: the debugger did not attach to the failed program.');
  }
  return true;
}
