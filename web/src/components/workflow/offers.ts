import { useReactFlow } from '@xyflow/react';
import { useMemo } from 'react';
import { useStore } from 'react-redux';
import { useNavigate } from 'react-router';
import type { Command } from '../../model/commands';
import { allNodes, find, labelOf } from '../../model/document';
import { END, START } from '../../model/graph';
import { kindOf } from '../../model/kinds';
import { canPin, WAYS, type Way } from '../../model/pins';
import { redone, select, setDisabled, tidied, undone } from '../../services/state';
import { useAct, useSeen, type State } from '../../services/store';
import { useOffers } from '../../utils/commands';
import type { Asking } from './Editor';

const FIT = { padding: 0.08, maxZoom: 1 };

/** What can be done with the drawing, by its name. */
export function useDrawingOffers(
  readOnly: boolean,
  on: { add: () => void; text: () => void; help: () => void },
): void {
  const act = useAct();
  const flow = useReactFlow();
  const store = useStore<State>();
  const document = useSeen((state) => state.workflow.document);
  const { add, text, help } = on;
  const commands = useMemo<Command[]>(() => {
    const group = 'Drawing';
    const selected = () => {
      const { selectedNode, document: now } = store.getState().workflow;
      return selectedNode ? find(now, selectedNode)?.node : undefined;
    };
    const edits: Command[] = [
      { id: 'add', label: 'Add a node', group, keys: 'N', run: add },
      { id: 'undo', label: 'Undo', group, keys: 'Ctrl+Z', run: () => act(undone()) },
      { id: 'redo', label: 'Redo', group, keys: 'Ctrl+Shift+Z', run: () => act(redone()) },
      { id: 'tidy', label: 'Tidy up', group, also: 'layout', run: () => act(tidied()) },
      {
        id: 'disable',
        label: 'Leave the selected node out of runs, or take it in again',
        group,
        also: 'disable enable',
        run: () => {
          const node = selected();
          if (node) act(setDisabled({ id: node.id, is: node.disabled !== true }));
        },
      },
    ];
    const go = (id: string, label: string, also: string): Command => ({
      id: `node ${id}`,
      label: `Go to ${label}`,
      group: 'Nodes',
      also,
      run: () => {
        act(select(id));
        void flow.fitView({ nodes: [{ id }], maxZoom: 1, minZoom: 0.5, padding: 1 });
      },
    });
    return [
      ...(readOnly ? [] : edits),
      {
        id: 'fit',
        label: 'Show all of the drawing',
        group,
        also: 'zoom fit',
        run: () => void flow.fitView(FIT),
      },
      { id: 'text', label: 'Show or hide the YAML', group, also: 'text code', run: text },
      { id: 'keys', label: 'Keyboard shortcuts', group, keys: '?', run: help },
      go(START, 'the start: input and settings', 'schema budget'),
      go(END, 'the end: output', ''),
      ...allNodes(document).map(({ node }) =>
        go(node.id, labelOf(node), `${node.id} ${kindOf(node.type).label}`),
      ),
    ];
  }, [act, add, document, flow, help, readOnly, store, text]);
  useOffers(commands);
}

/** What can be done with a stored workflow, by its name. */
export function useEditorOffers(
  id: string,
  may: { edit: boolean; run: boolean },
  is: { draft: boolean; published: boolean },
  ask: (what: Asking) => void,
): void {
  const navigate = useNavigate();
  const store = useStore<State>();
  const { edit, run } = may;
  const { draft, published } = is;
  const commands = useMemo<Command[]>(() => {
    const group = 'Workflow';
    const open = (path: string) => () => void navigate(path);
    const tries = (way: Way): Command => ({
      id: `try-${way}`,
      label: `${WAYS[way]}: the selected one`,
      group,
      also: 'pin test',
      run: () => {
        const { selectedNode, document } = store.getState().workflow;
        if (selectedNode && canPin(document, selectedNode)) ask({ way, node: selectedNode });
      },
    });
    return [
      ...(run && edit && draft
        ? [{ id: 'run-draft', label: 'Run draft', group, run: () => ask('run-draft') }]
        : []),
      ...(run && edit ? (Object.keys(WAYS) as Way[]).map(tries) : []),
      ...(run && published ? [{ id: 'run', label: 'Run', group, also: 'start', run: () => ask('run') }] : []),
      ...(edit && draft ? [{ id: 'publish', label: 'Publish', group, run: () => ask('publish') }] : []),
      {
        id: 'versions',
        label: 'Versions',
        group,
        also: 'compare diff restore',
        run: open(`/workflows/${id}/versions`),
      },
      { id: 'its-runs', label: 'Its runs', group, run: open(`/workflows/${id}/runs`) },
      {
        id: 'its-triggers',
        label: 'Its triggers',
        group,
        also: 'schedule webhook',
        run: open(`/triggers?workflow=${id}`),
      },
    ];
  }, [ask, draft, edit, id, navigate, published, run, store]);
  useOffers(commands);
}
