/** What folding a history asks about its definition. */
import { allNodes, type Definition } from './document';
import { waits } from './kinds';
import type { Shape } from './overlay';

export function shapeOf(document: Definition): Shape {
  const open = new Set(
    allNodes(document)
      .filter(({ node }) => waits(node))
      .map(({ node }) => node.id),
  );
  return { waits: (node) => open.has(node) };
}
