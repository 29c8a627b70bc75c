/** Times and spans as people read them. */

const UNITS: [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** `850 ms`, `12.4 s`, `3 min 20 s`. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const at = UNITS.findIndex(([, size]) => ms >= size);
  const [unit, size] = UNITS[at] ?? ['s', 1000];
  const [small, part] = UNITS[at + 1] ?? ['s', 1000];
  const rest = Math.floor((ms % size) / part);
  return `${Math.floor(ms / size)} ${unit}${rest > 0 ? ` ${rest} ${small}` : ''}`;
}

/** `just now`, `3 min ago`, `2 d ago`. */
export function ago(at: string | number, now = Date.now()): string {
  const ms = now - new Date(at).getTime();
  if (ms < 5000) return 'just now';
  const [unit, size] = UNITS.find(([, size]) => ms >= size) ?? ['s', 1000];
  return `${Math.floor(ms / size)} ${unit} ago`;
}

/** `in 3 min`, `now`. */
export function until(at: string, now = Date.now()): string {
  const ms = new Date(at).getTime() - now;
  if (ms < 1000) return 'now';
  const [unit, size] = UNITS.find(([, size]) => ms >= size) ?? ['s', 1000];
  return `in ${Math.round(ms / size)} ${unit}`;
}

/** Date and time in the reader's own form. */
export const instant = (at: string): string =>
  new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

export function between(start: string | null | undefined, end: string | null | undefined): number | null {
  if (!start) return null;
  return (end ? new Date(end).getTime() : Date.now()) - new Date(start).getTime();
}

/** Who did something, where that was somebody: without keys everybody is anybody. */
export const by = (author: string | null | undefined): string =>
  author && author !== 'anybody' ? ` by ${author}` : '';
