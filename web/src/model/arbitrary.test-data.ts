/** Definitions by chance: valid ones in every shape that the language has, with parts that the page does not know. */
import fc from 'fast-check';
import type { DefEdge, DefNode, Definition, Graph } from './document';
import { KINDS } from './kinds';

const json = fc.jsonValue({ maxDepth: 2 });
const position = fc.option(
  fc.record({ x: fc.integer({ min: -900, max: 900 }), y: fc.integer({ min: -900, max: 900 }) }),
  {
    nil: undefined,
  },
);

const without = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;

/** A graph whose ids begin with `prefix`, so that they are unique over the document. */
const graph = (prefix: string, depth: number): fc.Arbitrary<Graph> =>
  fc
    .integer({ min: 0, max: 5 })
    .chain((count) =>
      fc
        .tuple(...Array.from({ length: count }, (_, index) => node(`${prefix}n${index}`, depth)))
        .chain((nodes) => edges(nodes).map((list) => ({ nodes, edges: list }))),
    );

const node = (id: string, depth: number): fc.Arbitrary<DefNode> =>
  fc.constantFrom(...KINDS.map((kind) => kind.name)).chain((type) => {
    const holds = type === 'for_each' || type === 'loop';
    const body = holds && depth > 0 ? graph(`${id}-`, depth - 1) : fc.constant<Graph>({ nodes: [] });
    return fc
      .record({
        position,
        body,
        name: fc.option(fc.string(), { nil: undefined }),
        extra: json,
        on_error: fc.constantFrom(undefined, 'fail', 'branch'),
      })
      .map(({ position: at, body: inside, name, extra, on_error }) =>
        without<DefNode>({
          id,
          type,
          name,
          position: at,
          on_error,
          config: holds ? { items: 'input', unknown: extra, body: inside } : { unknown: extra },
        }),
      );
  });

/** Edges that lead forward, so that there is no circle. */
const edges = (nodes: DefNode[]): fc.Arbitrary<DefEdge[]> => {
  const pairs = nodes.flatMap((source, from) =>
    nodes.slice(from + 1).map((target) => ({ source: source.id, target: target.id })),
  );
  return fc.subarray(pairs);
};

export const definition: fc.Arbitrary<Definition> = fc
  .record({ graph: graph('', 2), input: json, metadata: fc.dictionary(fc.string(), json), output: json })
  .map(({ graph: whole, ...fields }) => ({ name: 'made', ...fields, ...whole }));

/** Fails on any change in place. */
export function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(frozen);
  }
  return value;
}
