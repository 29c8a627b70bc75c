import { Alert, Button, FileInput, Group, Modal, Stack, Textarea } from '@mantine/core';
import { useState } from 'react';
import { isFailure, sentenceOf, type Written } from '../../services/api';

interface Props {
  opened: boolean;
  error: unknown;
  onClose: () => void;
  onImport: (text: string, type: Written['type']) => Promise<boolean>;
}

/** Takes a definition from a file or from the clipboard, in YAML or JSON. */
export function ImportDialog({ opened, error, onClose, onImport }: Props) {
  const [text, setText] = useState('');
  const [isTried, setTried] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const take = async () => {
    setBusy(true);
    setTried(true);
    // JSON is YAML, but for what only the one or the other refuses.
    const type = /^\s*\{/.test(text) ? 'application/json' : 'application/yaml';
    const isDone = await onImport(text, type);
    setBusy(false);
    if (isDone) onClose();
  };
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Import a workflow"
      size="lg"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <FileInput
          label="File"
          placeholder="Choose a YAML or JSON file"
          accept=".yaml,.yml,.json"
          onChange={(file) => void file?.text().then(setText)}
        />
        <Textarea
          classNames={{ input: 'grows' }}
          label="Or paste it"
          className="code-text"
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        {isTried && error !== undefined && (
          <Alert color="red" variant="outline" title="It could not be read">
            {sentenceOf(error)}
            {isFailure(error) &&
              error.problems?.slice(0, 10).map((problem) => <div key={problem.path}>{problem.message}</div>)}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button loading={isBusy} disabled={text.trim() === ''} onClick={() => void take()}>
            Import it
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
