/** The item in the status bar. */

import * as vscode from 'vscode';

import { item, type Status } from './status';

export class StatusItem implements vscode.Disposable {
  private readonly bar = vscode.window.createStatusBarItem(
    'backtrail.status',
    vscode.StatusBarAlignment.Right,
    100,
  );

  constructor() {
    this.bar.name = 'Backtrail';
  }

  show(status: Status): void {
    const { text, tooltip, warning, command } = item(status);
    this.bar.text = text;
    this.bar.tooltip = new vscode.MarkdownString(tooltip);
    this.bar.command = command;
    this.bar.backgroundColor = warning
      ? new vscode.ThemeColor('statusBarItem.warningBackground')
      : undefined;
    this.bar.show();
  }

  dispose(): void {
    this.bar.dispose();
  }
}
