import { Button, Group, List, Modal, Stack, Text } from '@mantine/core';
import { definitionOf } from '../../model/document';
import { diff, told } from '../../model/diff';
import { useOpenWorkflowQuery } from '../../services/api';
import { opened } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import type { Save } from './save';

const SHOWN = 30;

/** Somebody else has saved meanwhile: what differs, and whose version shall stand. */
export function Conflict({ id, save }: { id: string; save: Save }) {
  const act = useAct();
  const mine = useSeen((state) => state.workflow.document);
  const theirs = useOpenWorkflowQuery(id, { refetchOnMountOrArgChange: true });
  const other = theirs.data && !theirs.isFetching ? definitionOf(theirs.data) : null;
  const lines = other ? told(diff(other, mine)) : [];
  const version = theirs.data?.version ?? save.version;
  return (
    <Modal
      opened
      onClose={() => save.settle()}
      title="Somebody else has saved this workflow"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <Text size="sm">
          Version {version} was saved while you edited version {save.version}. Against it, yours says:
        </Text>
        <List size="sm">
          {lines.slice(0, SHOWN).map((line) => (
            <List.Item key={line}>{line}</List.Item>
          ))}
          {lines.length > SHOWN && <List.Item>and {lines.length - SHOWN} more</List.Item>}
          {other && lines.length === 0 && <List.Item>nothing else: they are the same</List.Item>}
        </List>
        <Group justify="flex-end">
          <Button
            variant="default"
            disabled={!other}
            onClick={() => {
              if (other) act(opened(other));
              save.settle(version);
            }}
          >
            Take theirs
          </Button>
          <Button disabled={!other} loading={save.isSaving} onClick={() => void save.save(version)}>
            Save mine over it
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
