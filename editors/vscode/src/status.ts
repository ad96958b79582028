/** What the status bar says. */

import { isFailure } from './outcome';

export type Status =
  | { readonly state: 'starting' }
  | { readonly state: 'missing' }
  | { readonly state: 'failed' }
  | { readonly state: 'stopped' }
  | Running;

export interface Running {
  readonly state: 'running';
  readonly version: string | null;
  /** How the last run went, null before the first. */
  readonly outcome: string | null;
  /** The server's own words on interpreter, host and runs, null before they were asked for. */
  readonly markdown: string | null;
}

export interface Item {
  readonly text: string;
  /** Markdown. */
  readonly tooltip: string;
  readonly warning: boolean;
  /** The command that a click runs. */
  readonly command: string;
}

const SHOW = 'backtrail.showStatus';
const RESTART = 'backtrail.restart';

export function item(status: Status): Item {
  switch (status.state) {
    case 'starting':
      return { text: '$(sync~spin) Backtrail', tooltip: 'Starting', warning: false, command: SHOW };
    case 'missing':
      return {
        text: '$(warning) Backtrail',
        tooltip: 'The server was not found. Click to look again.',
        warning: true,
        command: RESTART,
      };
    case 'failed':
    case 'stopped':
      return {
        text: '$(warning) Backtrail',
        tooltip: 'The server does not run. Click to start it.',
        warning: true,
        command: RESTART,
      };
    case 'running':
      return running(status);
  }
}

function running({ version, outcome, markdown }: Running): Item {
  const icon = outcome === null ? 'debug-step-back' : isFailure(outcome) ? 'error' : 'pass';
  return {
    text: `$(${icon}) ${outcome || 'Backtrail'}`,
    tooltip: markdown ?? `Backtrail ${version ?? ''} is running`.replace('  ', ' '),
    warning: false,
    command: SHOW,
  };
}
