/** What a person gets to see of the server's answer to a command. */

export type Shown =
  | { readonly kind: 'document'; readonly title: string; readonly markdown: string }
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'nothing' };

const NOTHING: Shown = { kind: 'nothing' };

/** Headings for answers that bring none. */
const TITLES: { readonly [command: string]: string } = {
  'backtrail.explain': 'Explanation',
  'backtrail.why': 'Why this value',
  'backtrail.divergence': 'Compared with the last good run',
  'backtrail.evaluate': 'Evaluated',
  'backtrail.showPrompt': 'What the model saw',
  'backtrail.status': 'Backtrail status',
};

/** The server says by itself what came of these. */
const TOLD_BY_SERVER: readonly string[] = ['backtrail.fix', 'backtrail.applyFix'];

/** `answer` is whatever came over the wire: it is looked at, not trusted. */
export function presentation(command: string, answer: unknown): Shown {
  if (typeof answer !== 'object' || answer === null || TOLD_BY_SERVER.includes(command)) {
    return NOTHING;
  }
  const fields = answer as { readonly [key: string]: unknown };
  const title = text(fields['title']);
  const markdown = text(fields['markdown']);
  if (markdown !== '') {
    return { kind: 'document', title: title || (TITLES[command] ?? 'Backtrail'), markdown };
  }
  if (fields['started'] === true) {
    // The run shows itself, with progress and a lens.
    return NOTHING;
  }
  const reason = text(fields['reason']);
  return reason === '' ? NOTHING : { kind: 'warning', text: reason };
}

/** Where the failed program can be attached to. */
export interface StoppedProgram {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** From an answer of `backtrail.debug`; null when there is no program to attach to. */
export function stoppedProgram(answer: unknown): StoppedProgram | null {
  if (typeof answer !== 'object' || answer === null) {
    return null;
  }
  const { ready, host, port, token } = answer as { readonly [key: string]: unknown };
  const whole = typeof host === 'string' && typeof port === 'number' && typeof token === 'string';
  return ready === true && whole ? { host, port, token } : null;
}

/** Whether the server asks to open a file that holds an explanation, which its answer brings too. */
export function isExplanation(uri: string): boolean {
  return uri.startsWith('file:') && uri.endsWith('-explanation.md');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.trim() : '';
}
