/** How the last run went, as the server's progress tells it. */

/** A run is a progress with this at the start of its title; its last message is how it went. */
const RUN = 'Tracing ';

export type Progress =
  | { readonly kind: 'begin'; readonly title: string }
  | { readonly kind: 'report'; readonly message?: string | undefined }
  | { readonly kind: 'end'; readonly message?: string | undefined };

export class Outcomes {
  private readonly running = new Set<string | number>();

  /** The outcome when this is the end of a run (empty when it did not say), else null. */
  follow(token: string | number, progress: Progress): string | null {
    if (progress.kind === 'begin' && progress.title.startsWith(RUN)) {
      this.running.add(token);
    }
    return progress.kind === 'end' && this.running.delete(token) ? (progress.message ?? '') : null;
  }
}

export function isFailure(outcome: string): boolean {
  return /\b(failed|error|stopped|timeout|killed|died)\b/.test(outcome);
}
