/** What folding a history asks about its definition. */
import { allNodes, downstream, find, type Definition } from './document';
import { waits } from './kinds';
import type { Shape } from './overlay';

export function shapeOf(document: Definition): Shape {
  const open = new Set(
    allNodes(document)
      .filter(({ node }) => waits(node))
      .map(({ node }) => node.id),
  );
  return {
    waits: (node) => open.has(node),
    from: (node) => {
      const again = downstream(document, node);
      // What is in a body runs again with the node that holds it.
      const inside = allNodes(document).filter(({ container }) => {
        for (let id = container; id !== null; id = find(document, id)?.container ?? null) {
          if (again.has(id)) return true;
        }
        return false;
      });
      return [...again, ...inside.map(({ node: { id } }) => id)];
    },
  };
}
