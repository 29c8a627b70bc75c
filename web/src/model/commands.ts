/** What can be done by its name, and how it is found. */

export interface Command {
  id: string;
  label: string;
  /** Under which heading it stands. */
  group: string;
  /** Words by which it is found, too. */
  also?: string;
  /** The keys that do the same. */
  keys?: string;
  run: () => void;
}

/** So many are shown. */
const MOST = 40;

/** Those that have every word that is looked for, best first: by the beginning of their name, of a word in it, anywhere. */
export function matching(commands: readonly Command[], search: string): Command[] {
  const words = search.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const ranked = commands.flatMap((command, index) => {
    const label = command.label.toLowerCase();
    const all = `${label} ${command.group} ${command.also ?? ''}`.toLowerCase();
    if (!words.every((word) => all.includes(word))) return [];
    const first = words[0] ?? '';
    const rank = label.startsWith(first)
      ? 0
      : label.includes(` ${first}`)
        ? 1
        : label.includes(first)
          ? 2
          : 3;
    return [{ command, rank, index }];
  });
  // Without a word the order is the one in which they are given.
  if (words.length > 0) ranked.sort((a, b) => a.rank - b.rank || a.index - b.index);
  return ranked.slice(0, MOST).map(({ command }) => command);
}
