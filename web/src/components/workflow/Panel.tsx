import { CloseButton, Tabs, Text, Title } from '@mantine/core';
import { useEffect } from 'react';
import { find, labelOf } from '../../model/document';
import { END } from '../../model/graph';
import { kindOf } from '../../model/kinds';
import { noteOf } from '../../model/notes';
import { select } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { isTyping, type Stored } from './Builder';
import { FailuresForm } from './FailuresForm';
import { NodeAbout } from './NodeAbout';
import { NodeData } from './NodeData';
import { NodeSettings } from './NodeSettings';
import { NotePanel } from './NotePanel';
import { ProblemList } from './ProblemList';
import { RunSummary } from './RunSummary';
import { WorkflowPanel } from './WorkflowPanel';
import { KindIcon } from './KindIcon';

interface Props {
  stored?: Stored;
  readOnly: boolean;
  /** Whether it stands over the drawing: Escape closes it. */
  isDrawer: boolean;
}

/** What is selected, in detail; with nothing selected the workflow itself. */
export function Panel({ stored, readOnly, isDrawer }: Props) {
  const act = useAct();
  const selected = useSeen((state) => state.workflow.selectedNode);
  const document = useSeen((state) => state.workflow.document);
  const run = useSeen((state) => state.workflow.overlay?.run);
  const hasRun = run !== undefined;
  const found = selected ? find(document, selected) : undefined;
  useEscape(isDrawer);
  const note = noteOf(document, selected);
  if (note) return <NotePanel key={note.id} note={note} readOnly={readOnly} />;
  if (!found) {
    return (
      <aside className="panel" aria-label="Workflow">
        {hasRun && <RunSummary isItsPage={readOnly} />}
        <WorkflowPanel
          part={selected === END ? 'output' : 'input'}
          readOnly={readOnly}
          stored={stored}
          isDrawer={isDrawer}
        />
      </aside>
    );
  }
  const { node } = found;
  const kind = kindOf(node.type);
  return (
    <aside className="panel" aria-label={`Node ${labelOf(node)}`}>
      <div className="panel-head" data-family={kind.family}>
        <KindIcon type={node.type} size={20} />
        <Title order={2}>{labelOf(node)}</Title>
        <Text size="xs" c="dimmed">
          {kind.label}
        </Text>
        <CloseButton ml="auto" aria-label="Close the node" onClick={() => act(select(null))} />
      </div>
      <ProblemList node={node.id} />
      <Tabs
        key={`${node.id} ${String(hasRun && readOnly)}`}
        defaultValue={hasRun && readOnly ? 'data' : 'settings'}
        keepMounted={false}
      >
        <Tabs.List>
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
          <Tabs.Tab value="data">Data</Tabs.Tab>
          <Tabs.Tab value="failures">Failures</Tabs.Tab>
          <Tabs.Tab value="about">About</Tabs.Tab>
        </Tabs.List>
        <div className="panel-body">
          <Tabs.Panel value="settings">
            <NodeSettings node={node} readOnly={readOnly} />
          </Tabs.Panel>
          <Tabs.Panel value="data">
            <NodeData node={node.id} run={run ?? null} readOnly={readOnly} onTry={stored?.onTry} />
          </Tabs.Panel>
          <Tabs.Panel value="failures">
            <FailuresForm node={node} readOnly={readOnly} />
          </Tabs.Panel>
          <Tabs.Panel value="about">
            <NodeAbout node={node} readOnly={readOnly} />
          </Tabs.Panel>
        </div>
      </Tabs>
    </aside>
  );
}

/** Escape closes what stands over the drawing, but not from a field: there it may mean something else. */
function useEscape(is: boolean): void {
  const act = useAct();
  useEffect(() => {
    if (!is) return;
    const pressed = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented && !isTyping(event.target)) act(select(null));
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, [act, is]);
}
