import { Button, CloseButton, ScrollArea, Text } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { bodyOf, labelOf, nodesOf, type Graph } from '../../model/document';
import { kindOf } from '../../model/kinds';
import { END, START } from '../../model/graph';
import { NOTE, notesOf } from '../../model/notes';
import type { Trying } from '../../model/pins';
import { select } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { OutlineItem, type ItemProps } from './OutlineItem';

interface Props {
  readOnly: boolean;
  onTry?: (trying: Trying) => void;
  onAdd: () => void;
  /** Given where it stands over the drawing. */
  onClose?: () => void;
}

/** The same graph as a list, for the keyboard and for who does not see the drawing. */
export function Outline({ readOnly, onTry, onAdd, onClose }: Props) {
  const act = useAct();
  const document = useSeen((state) => state.workflow.document);
  const selected = useSeen((state) => state.workflow.selectedNode);
  const end = (id: string, label: string) => (
    <li key={id}>
      <button
        type="button"
        className="outline-item"
        aria-current={selected === id}
        onClick={() => {
          act(select(id));
          onClose?.();
        }}
      >
        <span className="outline-label">{label}</span>
      </button>
    </li>
  );
  return (
    <section className="outline" aria-label="Outline">
      <div className="outline-head">
        <Text size="sm" fw={600} component="h2">
          Outline
        </Text>
        {!readOnly && (
          <Button
            size="compact-xs"
            variant="subtle"
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={onAdd}
          >
            Add…
          </Button>
        )}
        {onClose && <CloseButton size="sm" aria-label="Close the outline" onClick={onClose} />}
      </div>
      <ScrollArea className="outline-list" type="auto">
        <ul>
          {end(START, 'Start: input and settings')}
          {items(document, { readOnly, onTry, onChosen: onClose })}
          {end(END, 'End: output')}
          {notesOf(document).map((note) => end(NOTE + note.id, `Note: ${note.text || 'empty'}`))}
        </ul>
      </ScrollArea>
    </section>
  );
}

function items(graph: Graph, props: Pick<ItemProps, 'readOnly' | 'onTry' | 'onChosen'>) {
  return nodesOf(graph).map((node) => {
    const body = bodyOf(node);
    return (
      <li key={node.id}>
        <OutlineItem
          id={node.id}
          label={labelOf(node)}
          kind={kindOf(node.type).label}
          type={node.type}
          isOut={node.disabled === true}
          {...props}
        />
        {body && <ul>{items(body, props)}</ul>}
      </li>
    );
  });
}
