import { Alert, Anchor, Button, Group, Title, Tooltip } from '@mantine/core';
import { IconPlayerPlay, IconUpload } from '@tabler/icons-react';
import { Link } from 'react-router';
import { useSeen } from '../../services/store';
import { ago } from '../../utils/time';
import type { Asking } from './Editor';
import { Checklist } from './Checklist';
import { EditorMenu } from './EditorMenu';
import { NotSaved } from './NotSaved';
import { SaveState } from './SaveState';
import type { Save } from './save';

interface Props {
  id: string;
  save: Save;
  mayEdit: boolean;
  mayRun: boolean;
  isConnected: boolean;
  restoredAt: number | null;
  onDiscard: () => void;
  onDismiss: () => void;
  onAsk: (what: Asking) => void;
}

/** What is edited, whether it is saved, what is wrong with it; publish and run. */
export function EditorHead(props: Props) {
  const { id, save, mayEdit, mayRun, isConnected, restoredAt, onDiscard, onDismiss, onAsk } = props;
  const name = useSeen((state) => state.workflow.document.name);
  // A draft is an editor's to run; who may not sees the version only.
  const runsDraft = mayRun && mayEdit && save.isDraft;
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
          <SaveState save={save} />
          {!isConnected && <span className="editor-offline">connecting again…</span>}
        </Group>
        <Group gap="xs" wrap="nowrap">
          <Checklist />
          {mayEdit && (
            <Button
              size="xs"
              variant="default"
              leftSection={<IconUpload size={16} aria-hidden />}
              disabled={!save.isDraft}
              onClick={() => onAsk('publish')}
            >
              Publish
            </Button>
          )}
          {runsDraft && (
            <Tooltip label="Ctrl+Enter">
              <Button
                size="xs"
                leftSection={<IconPlayerPlay size={16} aria-hidden />}
                onClick={() => onAsk('run-draft')}
              >
                Run draft
              </Button>
            </Tooltip>
          )}
          {mayRun && save.version > 0 && (
            <Tooltip label={runsDraft ? `Runs version ${save.version}, as it is published` : 'Ctrl+Enter'}>
              <Button
                size="xs"
                variant={runsDraft ? 'default' : 'filled'}
                leftSection={<IconPlayerPlay size={16} aria-hidden />}
                onClick={() => onAsk('run')}
              >
                Run
              </Button>
            </Tooltip>
          )}
          <EditorMenu id={id} save={save} mayEdit={mayEdit} />
        </Group>
      </header>
      {restoredAt !== null && (
        <Alert className="editor-note" color="indigo" variant="outline" p="xs">
          <Group justify="space-between">
            <span>Edits of {ago(restoredAt)}, which were not saved, are here again.</span>
            <Group gap="xs">
              <Button size="compact-xs" variant="default" onClick={onDiscard}>
                Take them back
              </Button>
              <Button size="compact-xs" variant="default" onClick={onDismiss}>
                Keep them
              </Button>
            </Group>
          </Group>
        </Alert>
      )}
      <NotSaved save={save} onConflict={() => onAsk('conflict')} />
    </>
  );
}
