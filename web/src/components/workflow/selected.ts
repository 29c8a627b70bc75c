import { useCallback } from 'react';
import { useStore } from 'react-redux';
import { find } from '../../model/document';
import type { State } from '../../services/store';

/** The nodes that are selected: those marked on the drawing, or the one in the panel. */
export function useNodesSelected(): () => string[] {
  const store = useStore<State>();
  return useCallback(() => {
    const { document, selectedNode } = store.getState().workflow;
    const marked = [...globalThis.document.querySelectorAll<HTMLElement>('.react-flow__node.selected')];
    const ids = marked.flatMap((element) => element.dataset.id ?? []).filter((id) => find(document, id));
    if (ids.length > 0) return ids;
    return selectedNode && find(document, selectedNode) ? [selectedNode] : [];
  }, [store]);
}
