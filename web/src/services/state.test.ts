import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { definition, frozen } from '../model/arbitrary.test-data';
import { find, idsOf } from '../model/document';
import { empty } from '../model/overlay';
import { makeStore } from './store';
import * as workflow from './state';

const start = () => {
  const store = makeStore();
  return { act: store.dispatch, now: () => store.getState().workflow };
};

describe('the workflow that is edited', () => {
  it('is saved as it was opened, whatever it is', () => {
    fc.assert(
      fc.property(definition, (document) => {
        const { act, now } = start();
        const text = JSON.stringify(document);
        act(workflow.opened(frozen(document)));
        act(workflow.select([...idsOf(document)][0] ?? null));
        expect(JSON.stringify(now().document)).toBe(text);
        expect(now().document).toBe(now().saved);
      }),
      { numRuns: 60 },
    );
  });

  it('is the same again after every edit was undone, and after it was done again', () => {
    fc.assert(
      fc.property(definition, fc.array(fc.nat(5), { maxLength: 6 }), (document, choices) => {
        const { act, now } = start();
        act(workflow.opened(frozen(document)));
        const edits = [
          () => workflow.addNode(),
          () => workflow.tidied(),
          () => workflow.updateWorkflow({ description: 'd' }),
          () => workflow.remove({ nodes: [...idsOf(now().document)].slice(0, 1), edges: [] }),
          () =>
            workflow.moved(
              Object.fromEntries([...idsOf(now().document)].slice(-1).map((id) => [id, { x: 7, y: 9 }])),
            ),
          () => workflow.addNode({ type: 'loop' }),
        ];
        for (const choice of choices) {
          const edit = edits[choice];
          if (edit) act(edit());
        }
        const last = now().document;
        const steps = now().history.past.length;
        for (let step = 0; step < steps; step += 1) act(workflow.undone());
        expect(now().document).toEqual(document);
        for (let step = 0; step < steps; step += 1) act(workflow.redone());
        expect(now().document).toEqual(last);
      }),
      { numRuns: 40 },
    );
  });

  it('adds nodes one behind the other, each one step of undo with the choice of its kind', () => {
    const { act, now } = start();
    act(workflow.addNode());
    act(workflow.chooseType({ id: 'node-1', type: 'wait' }));
    act(workflow.addNode());
    expect(now().document.edges).toEqual([{ source: 'node-1', target: 'node-2' }]);
    expect(now().selectedNode).toBe('node-2');
    act(workflow.undone());
    expect(find(now().document, 'node-1')?.node.type).toBe('wait');
    act(workflow.undone());
    expect(now().document.nodes).toEqual([]);
  });

  it('draws what it says', () => {
    const { act, now } = start();
    act(workflow.addNode());
    act(workflow.addNode());
    act(workflow.updateEdge({ remove: ['node-1||node-2'] }));
    expect(now().edges.filter((edge) => edge.className !== 'implied')).toEqual([]);
    act(workflow.updateEdge({ connect: { source: 'node-2', target: 'node-1' } }));
    expect(now().edges.map((edge) => edge.id)).toContain('node-2||node-1');
    act(workflow.insertNode({ edge: 'node-2||node-1', type: 'wait' }));
    expect(now().selectedNode).toBe('node-3');
    act(workflow.remove({ nodes: ['node-3'], edges: [] }));
    expect(now().selectedNode).toBeNull();
  });

  it('shows the run that it was told to, and no other', () => {
    const { act, now } = start();
    act(workflow.addNode());
    act(workflow.runShown('r'));
    const events = [
      { seq: 1, at: '', type: 'run.created' },
      { seq: 2, at: '', type: 'step.started', node: 'node-1', generation: 1, iteration: '', attempt: 1 },
    ];
    act(workflow.advanced({ run: 'other', events }));
    expect(now().overlay?.seq).toBe(0);
    act(workflow.advanced({ run: 'r', events }));
    expect(now().overlay?.nodes['node-1']?.status).toBe('running');
    act(workflow.updateAgentStatus({ runId: 'r', node: 'node-1', iteration: '', text: 'Hel' }));
    act(workflow.updateAgentStatus({ runId: 'r', node: 'node-1', iteration: '', text: 'lo' }));
    act(workflow.updateAgentStatus({ runId: 'x', node: 'node-1', iteration: '', text: '!' }));
    expect(now().agents).toEqual([{ node: 'node-1', iteration: '', said: 'Hello' }]);
    act(workflow.advanced({ run: 'r', events: [{ seq: 3, at: '', type: 'run.completed' }] }));
    expect(now().running).toBe(false);
    act(workflow.overlaid({ ...empty('r'), seq: 9, status: 'running' }));
    expect([now().overlay?.seq, now().running]).toEqual([9, true]);
    act(workflow.overlaid({ ...empty('x'), seq: 10 }));
    // An earlier generation does not run.
    act(workflow.overlaid({ ...empty('r'), seq: 8, status: null }));
    expect([now().overlay?.seq, now().running]).toEqual([8, false]);
  });

  it('is edited as text, too: a comment is no edit of the document, and a node that is gone is not selected', () => {
    const { act, now } = start();
    const document = { name: 'x', nodes: [{ id: 'a', type: 'wait' }] };
    act(workflow.opened(document, 'as it was'));
    expect(workflow.isEdited(now())).toBe(false);
    act(workflow.select('a'));
    act(workflow.typed({ name: 'x', nodes: [{ id: 'a', type: 'wait' }] }, 'as it was # so'));
    expect(now().document).toBe(document);
    expect(now().history.past).toHaveLength(0);
    expect(workflow.isEdited(now())).toBe(true);
    act(workflow.saved(now().document, 'as it was # so'));
    expect(workflow.isEdited(now())).toBe(false);
    act(workflow.typed({ name: 'x', nodes: [] }, 'less'));
    expect(now()).toMatchObject({ selectedNode: null, nodes: [], source: { text: 'less' } });
    act(workflow.undone());
    expect(now().document).toBe(document);
    expect(now().source?.says).not.toBe(document);
    act(workflow.written(document, 'again'));
    expect(now().source).toEqual({ text: 'again', says: document });
    act(workflow.restored({ name: 'y' }));
    expect(now()).toMatchObject({ document: { name: 'y' }, source: null });
  });

  it('has nodes that are left out, renamed and annotated, each one step of undo', () => {
    const { act, now } = start();
    act(workflow.opened({ name: 'x', nodes: [{ id: 'a', type: 'wait' }] }));
    act(workflow.setDisabled({ id: 'a', is: true }));
    expect(now().document.nodes?.[0]).toMatchObject({ disabled: true });
    expect(now().nodes.find((node) => node.id === 'a')?.ariaLabel).toBe('a, wait, disabled');
    act(workflow.setDisabled({ id: 'a', is: false }));
    expect(now().document.nodes?.[0]).toEqual({ id: 'a', type: 'wait' });
    const pin = { given: { value: 1 }, of: '' };
    act(workflow.pinsFound({ a: pin }));
    act(
      workflow.renamed({ document: { name: 'x', nodes: [{ id: 'b', type: 'wait' }] }, from: 'a', to: 'b' }),
    );
    expect(now().selectedNode).toBe('b');
    expect(now().pins).toEqual({ b: pin });
    act(workflow.pinned({ id: 'c', pin }));
    act(workflow.pinned({ id: 'b', pin: null }));
    expect(now().pins).toEqual({ c: pin });
    act(workflow.addNote({ x: 1, y: 2 }));
    expect(now().selectedNode).toBe('note:note-1');
    act(workflow.updateNote({ id: 'note-1', text: 'why' }));
    act(workflow.moved({ 'note:note-1': { x: 9, y: 9 } }));
    expect(now().nodes.find((node) => node.id === 'note:note-1')).toMatchObject({ position: { x: 9, y: 9 } });
    expect(now().history.past).toHaveLength(6);
    act(workflow.remove({ nodes: ['note:note-1'], edges: [] }));
    expect(now().document).toEqual({ name: 'x', nodes: [{ id: 'b', type: 'wait' }] });
  });
});
