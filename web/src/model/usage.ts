/** What runs used: sums of the server, made whole and put into order. */

export interface Sum {
  calls: number;
  prompt_tokens: number;
  completion_tokens: number;
}

export interface Day extends Sum {
  day: string;
}

export interface Line extends Sum {
  day?: string | null;
}

const DAY_MS = 86_400_000;
const NONE: Sum = { calls: 0, prompt_tokens: 0, completion_tokens: 0 };

export const tokensOf = ({ prompt_tokens: asked, completion_tokens: said }: Sum): number => asked + said;

/** The last days, of UTC, today included. */
export function spanOf(days: number, now: number): { from: string; to: string } {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  return { from: day(now - (days - 1) * DAY_MS), to: day(now) };
}

/** Every day from the first to the last; the server leaves out those on which nothing was used. */
export function daysOf(lines: readonly Line[], from: string, to: string): Day[] {
  const found = new Map(lines.map((line) => [line.day, line]));
  const days: Day[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
    const day = new Date(at).toISOString().slice(0, 10);
    const { calls, prompt_tokens, completion_tokens } = found.get(day) ?? NONE;
    days.push({ day, calls, prompt_tokens, completion_tokens });
  }
  return days;
}

/** What used most comes first. */
export const byTokens = <T extends Sum>(lines: readonly T[]): T[] =>
  [...lines].sort((a, b) => tokensOf(b) - tokensOf(a) || b.calls - a.calls);

/** The next round number: 1, 2 or 5 with zeros. */
export function roundUp(most: number): number {
  if (most <= 1) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * unit).find((round) => round >= most) ?? most;
}

/** `950`, `12.3k`, `4.1M`. */
export function short(count: number): string {
  if (count < 1000) return String(count);
  const [size, unit] = count < 999_950 ? [1000, 'k'] : [1_000_000, 'M'];
  const text = (count / size).toFixed(1);
  return `${text.endsWith('.0') ? text.slice(0, -2) : text}${unit}`;
}
