import { ActionIcon, Menu } from '@mantine/core';
import { IconDots, IconPin } from '@tabler/icons-react';
import { useReactFlow } from '@xyflow/react';
import { useState } from 'react';
import { branchOf, edgesOf, find, labelOf, nodesOf } from '../../model/document';
import { copyOf, refusal } from '../../model/edits';
import { edgeIds } from '../../model/graph';
import { outputsOf } from '../../model/kinds';
import { canPin, WAYS, type Trying, type Way } from '../../model/pins';
import { addNode, moved, pasted, remove, select, setDisabled, updateEdge } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { Status } from '../common/Status';
import { KindIcon } from './KindIcon';

export interface ItemProps {
  id: string;
  label: string;
  kind: string;
  type: string;
  /** It is left out of runs. */
  isOut: boolean;
  readOnly: boolean;
  onTry?: (trying: Trying) => void;
  onChosen?: () => void;
}

/** A node in the outline, with everything that can be done with it by pointing at the drawing. */
export function OutlineItem({ id, label, kind, type, isOut, readOnly, onTry, onChosen }: ItemProps) {
  const act = useAct();
  const flow = useReactFlow();
  const isSelected = useSeen((state) => state.workflow.selectedNode === id);
  const status = useSeen((state) => state.workflow.overlay?.nodes[id]?.status);
  const isPinned = useSeen(
    ({ workflow: { pins, document } }) => pins[id] !== undefined && canPin(document, id),
  );
  const problems = useSeen(
    (state) => state.workflow.problems.filter((problem) => problem.node === id).length,
  );
  const show = () => {
    act(select(id));
    onChosen?.();
    void flow.fitView({ nodes: [{ id }], maxZoom: 1, minZoom: 0.5, padding: 1 });
  };
  return (
    <div className="outline-row">
      <button type="button" className="outline-item" aria-current={isSelected} onClick={show}>
        <KindIcon type={type} size={16} />
        <span className="outline-label">{label}</span>
        <span className="visually-hidden">, {kind}</span>
        {isOut && <span className="outline-out">left out</span>}
        {isPinned && <IconPin size={14} role="img" aria-label="pinned" />}
        {status && <Status of={status} short />}
        {problems > 0 && (
          <span className="outline-problems">{problems === 1 ? '1 problem' : `${problems} problems`}</span>
        )}
      </button>
      {!readOnly && <Actions id={id} label={label} onTry={onTry} />}
    </div>
  );
}

function Actions(props: Pick<ItemProps, 'id' | 'label' | 'onTry'>) {
  const [isOpen, setOpen] = useState(false);
  return (
    <Menu position="right-start" withinPortal opened={isOpen} onChange={setOpen}>
      <Menu.Target>
        <ActionIcon size="sm" variant="subtle" color="gray" aria-label={`What to do with ${props.label}`}>
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown mah={420} style={{ overflowY: 'auto' }}>
        {/* What it can be connected to is looked for only when it is asked: that compares it with every node. */}
        {isOpen && <Choices id={props.id} onTry={props.onTry} />}
      </Menu.Dropdown>
    </Menu>
  );
}

function Choices({ id, onTry }: Pick<ItemProps, 'id' | 'onTry'>) {
  const act = useAct();
  const document = useSeen((state) => state.workflow.document);
  const found = find(document, id);
  if (!found) return null;
  const { node, graph } = found;
  const edges = edgesOf(graph);
  const ids = edgeIds(edges);
  const ways = outputsOf(node).flatMap((branch) =>
    nodesOf(graph)
      .filter((other) => refusal(document, id, other.id, branch) === null)
      .map((other) => ({ branch, other })),
  );
  const out = edges.flatMap((edge, index) => (edge.source === id ? [{ edge, name: ids[index] ?? '' }] : []));
  const by = (x: number, y: number) => {
    const at = node.position ?? { x: 0, y: 0 };
    act(moved({ [id]: { x: at.x + x, y: at.y + y } }));
  };
  return (
    <>
      <Menu.Item onClick={() => act(addNode({ after: id }))}>Add a node behind it</Menu.Item>
      <Menu.Item onClick={() => act(pasted(copyOf(document, [id])))}>Duplicate</Menu.Item>
      <Menu.Item onClick={() => act(setDisabled({ id, is: node.disabled !== true }))}>
        {node.disabled === true ? 'Take into runs again' : 'Leave out of runs'}
      </Menu.Item>
      {onTry &&
        found.container === null &&
        (Object.keys(WAYS) as Way[]).map((way) => (
          <Menu.Item key={way} onClick={() => onTry({ way, node: id })}>
            {WAYS[way]}
          </Menu.Item>
        ))}
      {found.container === null && (
        <>
          <Menu.Item onClick={() => by(0, -64)}>Move up</Menu.Item>
          <Menu.Item onClick={() => by(0, 64)}>Move down</Menu.Item>
          <Menu.Item onClick={() => by(-64, 0)}>Move left</Menu.Item>
          <Menu.Item onClick={() => by(64, 0)}>Move right</Menu.Item>
        </>
      )}
      {ways.length > 0 && <Menu.Label>Connect to</Menu.Label>}
      {ways.map(({ branch, other }) => (
        <Menu.Item
          key={`${branch}|${other.id}`}
          onClick={() => act(updateEdge({ connect: { source: id, target: other.id, branch } }))}
        >
          {labelOf(other)}
          {branch && ` by “${branch}”`}
        </Menu.Item>
      ))}
      {out.length > 0 && <Menu.Label>Disconnect from</Menu.Label>}
      {out.map(({ edge, name }) => (
        <Menu.Item key={name} onClick={() => act(updateEdge({ remove: [name] }))}>
          {edge.target}
          {branchOf(edge) && ` by “${branchOf(edge)}”`}
        </Menu.Item>
      ))}
      <Menu.Divider />
      <Menu.Item color="red" onClick={() => act(remove({ nodes: [id], edges: [] }))}>
        Delete
      </Menu.Item>
    </>
  );
}
