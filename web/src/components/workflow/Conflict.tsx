import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { diff, told } from '../../model/diff';
import { useOpenWorkflowQuery } from '../../services/api';
import { restored, saved } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import { ago, by } from '../../utils/time';
import { Changes } from '../common/Changes';
import { Failed } from '../common/Failed';
import type { Save } from './save';

/** Somebody else has saved meanwhile: what differs, and whose draft shall stand. */
export function Conflict({ id, save, onClose }: { id: string; save: Save; onClose: () => void }) {
  const act = useAct();
  const mine = useSeen((state) => state.workflow.document);
  const theirs = useOpenWorkflowQuery(id, { refetchOnMountOrArgChange: true });
  const other = theirs.data && !theirs.isFetching ? theirs.data : null;
  const lines = other ? told(diff(other.definition, mine)) : [];
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title="Somebody else has changed this workflow"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        {theirs.error && (
          <Failed what="Their draft can’t be had" error={theirs.error} again={() => void theirs.refetch()} />
        )}
        {other && (
          <>
            <Text size="sm">
              It was saved {ago(other.updatedAt)}
              {by(other.author)}, while you edited what was there before. Against it, yours says:
            </Text>
            <Changes lines={lines} none="nothing else: they say the same" />
            <Text size="sm" c="dimmed">
              Theirs: undo brings yours back. Yours: theirs is overwritten.
            </Text>
          </>
        )}
        <Group justify="flex-end">
          <Button
            variant="default"
            disabled={!other}
            onClick={() => {
              if (!other) return;
              act(restored(other.definition, other.text));
              act(saved(other.definition, other.text));
              save.stands(other.etag, other.version);
              onClose();
            }}
          >
            Load theirs
          </Button>
          <Button
            disabled={!other}
            onClick={() => {
              if (!other) return;
              save.stands(other.etag, other.version);
              void save.save();
              onClose();
            }}
          >
            Keep mine
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
