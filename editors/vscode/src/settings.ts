/** What of the person's settings the server is told. */

/** Settings that only this extension reads; the server would name them as unknown. */
export const EXTENSION_ONLY: readonly string[] = ['backtrail.server.path', 'backtrail.trace.server'];

const SECTION = 'backtrail.';

/** Where a value may have been set, as VS Code's `inspect` tells it; the later ones win. */
export interface Inspected {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

export type Settings = { readonly [key: string]: unknown };

/**
 * The chosen settings as nested objects, without the `backtrail.` prefix.
 *
 * Defaults are left out: an editor's value wins over the project's pyproject.toml, so a default that
 * was sent along would undo what the project says. The interpreter of the Python extension stands in
 * where the person named none.
 */
export function forServer(
  names: readonly string[],
  inspect: (name: string) => Inspected | undefined,
  interpreter: string | null,
): Settings {
  const settings: { [key: string]: unknown } = {};
  for (const name of names) {
    const value = chosen(inspect(name));
    if (value !== undefined && !EXTENSION_ONLY.includes(name)) {
      put(settings, name.slice(SECTION.length).split('.'), value);
    }
  }
  if (settings['python'] == null && interpreter !== null) {
    settings['python'] = interpreter;
  }
  return settings;
}

function chosen(inspected: Inspected | undefined): unknown {
  return inspected?.workspaceFolderValue ?? inspected?.workspaceValue ?? inspected?.globalValue;
}

function put(into: { [key: string]: unknown }, path: readonly string[], value: unknown): void {
  const [key, ...below] = path;
  if (key === undefined) {
    return;
  }
  if (below.length === 0) {
    into[key] = value;
    return;
  }
  const inner = (into[key] ??= {}) as { [key: string]: unknown };
  put(inner, below, value);
}
