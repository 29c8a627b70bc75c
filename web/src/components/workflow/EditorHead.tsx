import { Alert, Anchor, Button, Group, Title, Tooltip } from '@mantine/core';
import { IconDeviceFloppy, IconPlayerPlay } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { Link } from 'react-router';
import { useSeen } from '../../services/store';
import { ago } from '../../utils/time';
import { Checklist } from './Checklist';
import { EditorMenu } from './EditorMenu';
import type { Save } from './save';

interface Props {
  id: string;
  save: Save;
  isDirty: boolean;
  mayEdit: boolean;
  mayRun: boolean;
  isConnected: boolean;
  restoredAt: number | null;
  onDiscard: () => void;
  onRun: () => void;
}

/** What is edited, whether it is saved, what is wrong with it; save and run. */
export function EditorHead(props: Props) {
  const { id, save, isDirty, mayEdit, mayRun, isConnected, restoredAt, onDiscard, onRun } = props;
  const name = useSeen((state) => state.workflow.document.name);
  useMinutes();
  const saved = `version ${save.version}, saved ${ago(save.savedAt)}`;
  return (
    <>
      <header className="editor-head">
        <Group gap="xs" wrap="nowrap" miw={0}>
          <Anchor component={Link} to="/" size="sm">
            Workflows
          </Anchor>
          <span aria-hidden>/</span>
          <Title order={1} lineClamp={1}>
            {name}
          </Title>
          <span className="editor-saved" data-dirty={isDirty}>
            {isDirty ? `edited since version ${save.version}` : saved}
          </span>
          {!isConnected && <span className="editor-offline">connecting again…</span>}
        </Group>
        <Group gap="xs" wrap="nowrap">
          <Checklist />
          {mayEdit && (
            <Tooltip label="Ctrl+S">
              <Button
                size="xs"
                variant="default"
                leftSection={<IconDeviceFloppy size={16} aria-hidden />}
                loading={save.isSaving}
                disabled={!isDirty}
                onClick={() => void save.save()}
              >
                Save
              </Button>
            </Tooltip>
          )}
          {mayRun && (
            <Tooltip label="Ctrl+Enter">
              <Button size="xs" leftSection={<IconPlayerPlay size={16} aria-hidden />} onClick={onRun}>
                Run
              </Button>
            </Tooltip>
          )}
          <EditorMenu id={id} mayEdit={mayEdit} />
        </Group>
      </header>
      {restoredAt !== null && isDirty && (
        <Alert className="editor-note" color="indigo" variant="outline" p="xs">
          <Group justify="space-between">
            <span>Edits of {ago(restoredAt)}, which were not saved, are here again.</span>
            <Button size="compact-xs" variant="default" onClick={onDiscard}>
              Take them back
            </Button>
          </Group>
        </Alert>
      )}
      {save.error && !save.conflict && (
        <Alert className="editor-note" color="red" variant="outline" p="xs" title="It could not be saved">
          {save.error}
        </Alert>
      )}
    </>
  );
}

/** Draws again twice a minute, so that “3 min ago” stays true. */
function useMinutes() {
  const [, set] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => set((n) => n + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
}
