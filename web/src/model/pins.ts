/** Outputs that are given when a draft is tried, and how much of it is run. They are of who edits; the definition has none. */
import { downstream, nodesOf, upstream, type Definition, type DefNode } from './document';
import { write } from './lossless';
import type { Overlay, Trial } from './overlay';

/** Any JSON, or what the node gave in a run. */
export type Given = { value: unknown } | { run: string; generation?: number };

export interface Pin {
  given: Given;
  /** What the node said when it was pinned. */
  of: string;
}

export type Pins = Record<string, Pin>;

/** How much of a draft is run: up to a node, from it on, or nothing but it. */
export type Way = 'until' | 'from' | 'only';

export interface Trying {
  way: Way;
  node: string;
}

/** What a start takes beside its input. */
export interface TrialOf {
  pins: Record<string, Given>;
  until?: string;
  only?: string;
}

const sayingOf = ({ type, config }: DefNode): string => write({ type, config });

export const pinOf = (node: DefNode, given: Given): Pin => ({ given, of: sayingOf(node) });

/** Whether the node says something else than when it was pinned. */
export const isStale = (node: DefNode, pin: Pin): boolean => pin.of !== sayingOf(node);

/** Nodes in bodies have an output for each iteration; they are run with the node that holds them. */
export const canPin = (document: Definition, id: string): boolean =>
  nodesOf(document).some((node) => node.id === id);

/** How a draft is tried: by what is pinned, and by what the run that is shown gave where that is to be kept. */
export function trialOf(
  document: Definition,
  pins: Pins,
  shown: Overlay | null,
  trying: Trying | null,
): TrialOf {
  const ids = nodesOf(document).map(({ id }) => id);
  const pinned = ids.flatMap((id): [string, Given][] => {
    const pin = pins[id];
    // What is tried itself runs, whatever is pinned.
    return pin && id !== trying?.node ? [[id, pin.given]] : [];
  });
  const kept = shown && trying ? keeps(document, trying, ids) : [];
  const given = kept.flatMap((id): [string, Given][] =>
    shown?.nodes[id]?.status === 'completed' ? [[id, { run: shown.run }]] : [],
  );
  const trial: TrialOf = { pins: Object.fromEntries([...given, ...pinned]) };
  if (trying && trying.way !== 'from') trial[trying.way] = trying.node;
  return trial;
}

/** The nodes that need not run again. */
function keeps(document: Definition, { way, node }: Trying, ids: string[]): string[] {
  if (way === 'until') return [];
  const some = way === 'only' ? upstream(document, node) : downstream(document, node);
  return ids.filter((id) => some.has(id) === (way === 'only'));
}

/** The pins of a node under its other id. */
export function renamedPin(pins: Pins, from: string, to: string): Pins {
  const pin = pins[from];
  if (!pin) return pins;
  const others = Object.entries(pins).filter(([id]) => id !== from);
  return { ...Object.fromEntries(others), [to]: pin };
}

/** How a run was tried, in words. */
export function saidOf(trial: Trial): string {
  const pinned = trial.pinned?.length ?? 0;
  const parts = [
    trial.until && `up to ${trial.until}`,
    trial.only && `only ${trial.only}`,
    pinned > 0 && `${pinned} pinned`,
  ];
  return `tried: ${parts.filter(Boolean).join(', ')}`;
}

/** What is run, in words. */
export const WAYS: Record<Way, string> = {
  until: 'Run until here',
  from: 'Run from here',
  only: 'Run only this node',
};
