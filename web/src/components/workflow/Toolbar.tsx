import { ActionIcon, Button, Group, Tooltip } from '@mantine/core';
import {
  IconAdjustments,
  IconArrowBackUp,
  IconArrowForwardUp,
  IconCode,
  IconKeyboard,
  IconLayoutDistributeHorizontal,
  IconListTree,
  IconMaximize,
  IconNote,
  IconPlus,
  type Icon,
} from '@tabler/icons-react';
import { useReactFlow } from '@xyflow/react';
import { addNode, addNote, redone, select, tidied, undone } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { freeId, idsOf } from '../../model/document';
import { START } from '../../model/graph';

interface Props {
  readOnly: boolean;
  isNarrow: boolean;
  outlined: boolean;
  onOutline: () => void;
  texted: boolean;
  onText: () => void;
  onAdded: (id: string) => void;
  onHelp: () => void;
}

/** What is done with the whole drawing. */
export function Toolbar(props: Props) {
  const { readOnly, isNarrow, outlined, onOutline, texted, onText, onAdded, onHelp } = props;
  const act = useAct();
  const flow = useReactFlow();
  const document = useSeen((state) => state.workflow.document);
  const { past, future } = useSeen((state) => state.workflow.history);
  const add = () => {
    const id = freeId(idsOf(document));
    act(addNode());
    onAdded(id);
    // In view once it is drawn.
    requestAnimationFrame(
      () => void flow.fitView({ nodes: [{ id }], maxZoom: Math.max(0.6, flow.getZoom()), padding: 0.4 }),
    );
  };
  // Above the drawing, in the middle of what is seen.
  const note = () => {
    const box = globalThis.document.querySelector('.builder-canvas')?.getBoundingClientRect();
    const { x, y } = flow.screenToFlowPosition({
      x: (box?.x ?? 0) + (box?.width ?? 0) / 2,
      y: (box?.y ?? 0) + 64,
    });
    act(addNote({ x: Math.round(x), y: Math.round(y) }));
  };
  return (
    <Group className="toolbar" gap="xs" role="toolbar" aria-label="Drawing">
      {!readOnly && (
        <Button size="xs" leftSection={<IconPlus size={16} aria-hidden />} onClick={add}>
          Add Node
        </Button>
      )}
      {!readOnly && (
        <>
          <Tool
            label="Undo"
            icon={IconArrowBackUp}
            disabled={past.length === 0}
            onClick={() => act(undone())}
          />
          <Tool
            label="Redo"
            icon={IconArrowForwardUp}
            disabled={future.length === 0}
            onClick={() => act(redone())}
          />
          <Tool label="Add a note" icon={IconNote} onClick={note} />
          <Tool label="Tidy up" icon={IconLayoutDistributeHorizontal} onClick={() => act(tidied())} />
        </>
      )}
      <Tool
        label="Show all"
        icon={IconMaximize}
        onClick={() => void flow.fitView({ padding: 0.08, maxZoom: 1 })}
      />
      <Tool label="Outline" icon={IconListTree} pressed={outlined} onClick={onOutline} />
      <Tool label="YAML" icon={IconCode} pressed={texted} onClick={onText} />
      {isNarrow && (
        <Tool label="The workflow’s own" icon={IconAdjustments} onClick={() => act(select(START))} />
      )}
      <Tool label="Keyboard shortcuts" icon={IconKeyboard} onClick={onHelp} />
    </Group>
  );
}

interface ToolProps {
  label: string;
  icon: Icon;
  disabled?: boolean;
  pressed?: boolean;
  onClick: () => void;
}

function Tool({ label, icon: Sign, disabled, pressed, onClick }: ToolProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant={pressed ? 'light' : 'subtle'}
        color="gray"
        size={30}
        aria-label={label}
        aria-pressed={pressed}
        disabled={disabled}
        onClick={onClick}
      >
        <Sign size={18} stroke={1.7} />
      </ActionIcon>
    </Tooltip>
  );
}
