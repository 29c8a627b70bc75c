/** What differs between two texts, line by line. */

export interface Line {
  kind: 'same' | 'added' | 'removed';
  text: string;
  /** Its number in the text before and in the one after. */
  old: number | null;
  now: number | null;
}

/** Lines that are the same and not shown. */
export interface Fold {
  kind: 'fold';
  lines: Line[];
}

/** More differences than these are not looked for: all between is then taken as replaced. */
const MOST = 1000;

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

export function lineDiff(before: string, after: string): Line[] {
  const [old, now] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (
    end < old.length - start &&
    end < now.length - start &&
    old[old.length - 1 - end] === now[now.length - 1 - end]
  ) {
    end += 1;
  }
  const between = shortest(old.slice(start, old.length - end), now.slice(start, now.length - end));
  const result: Line[] = [];
  let [a, b] = [0, 0];
  const take = (kind: Line['kind']) => {
    const text = (kind === 'added' ? now[b] : old[a]) ?? '';
    result.push({ kind, text, old: kind === 'added' ? null : a + 1, now: kind === 'removed' ? null : b + 1 });
    if (kind !== 'added') a += 1;
    if (kind !== 'removed') b += 1;
  };
  for (let index = 0; index < start; index += 1) take('same');
  for (const kind of between) take(kind);
  for (let index = 0; index < end; index += 1) take('same');
  return result;
}

/** The shortest way from one list to the other, by Myers: what goes stands before what comes. */
function shortest(old: string[], now: string[]): Line['kind'][] {
  const most = Math.min(old.length + now.length, MOST);
  const reached = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let depth = 0; depth <= most; depth += 1) {
    trace.push(new Map(reached));
    for (let k = -depth; k <= depth; k += 2) {
      let x = goesDown(reached, k, depth) ? at(reached, k + 1) : at(reached, k - 1) + 1;
      while (x < old.length && x - k < now.length && old[x] === now[x - k]) x += 1;
      reached.set(k, x);
      if (x >= old.length && x - k >= now.length) return back(trace, old.length, now.length);
    }
  }
  return [...old.map(() => 'removed' as const), ...now.map(() => 'added' as const)];
}

const at = (reached: Map<number, number>, k: number): number => reached.get(k) ?? -1;

const goesDown = (reached: Map<number, number>, k: number, depth: number): boolean =>
  k === -depth || (k !== depth && at(reached, k - 1) < at(reached, k + 1));

function back(trace: Map<number, number>[], endX: number, endY: number): Line['kind'][] {
  const kinds: Line['kind'][] = [];
  let [x, y] = [endX, endY];
  for (let depth = trace.length - 1; depth >= 0; depth -= 1) {
    const reached = trace[depth] ?? new Map<number, number>();
    const k = x - y;
    const isDown = goesDown(reached, k, depth);
    const beforeX = at(reached, isDown ? k + 1 : k - 1);
    const beforeY = beforeX - (isDown ? k + 1 : k - 1);
    while (x > beforeX && y > beforeY && x > 0 && y > 0) {
      kinds.push('same');
      x -= 1;
      y -= 1;
    }
    if (depth > 0) kinds.push(isDown ? 'added' : 'removed');
    [x, y] = [beforeX, beforeY];
  }
  return kinds.reverse();
}

/** Fewer lines than these are not worth a fold. */
const LEAST = 4;

/** Leaves a few lines around what differs, and folds the others away. */
export function folded(lines: Line[], around = 3): (Line | Fold)[] {
  const near = (index: number) =>
    lines.slice(Math.max(0, index - around), index + around + 1).some((line) => line.kind !== 'same');
  const result: (Line | Fold)[] = [];
  lines.forEach((line, index) => {
    const last = result.at(-1);
    if (near(index)) result.push(line);
    else if (last?.kind === 'fold') last.lines.push(line);
    else result.push({ kind: 'fold', lines: [line] });
  });
  return result.flatMap((part) => (part.kind === 'fold' && part.lines.length < LEAST ? part.lines : [part]));
}
