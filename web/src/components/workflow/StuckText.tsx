import { Alert, Button, Group } from '@mantine/core';
import { undone, written } from '../../services/state';
import { useAct, useSeen } from '../../services/store';
import type { Save } from './save';

/** The YAML can't follow an edit in place: before its comments are lost, somebody says so. */
export function StuckText({ save }: { save: Save }) {
  const act = useAct();
  const document = useSeen((state) => state.workflow.document);
  const anew = async () => {
    const { fresh } = await import('../../model/yaml');
    act(written(document, fresh(document)));
    await save.save();
  };
  return (
    <Alert
      className="editor-note"
      color="orange"
      variant="outline"
      p="xs"
      title="The YAML can’t follow this edit in place"
    >
      <Group justify="space-between">
        <span>To write it, all of the YAML is written anew: its comments and its formatting are lost.</span>
        <Group gap="xs">
          <Button size="compact-xs" variant="default" onClick={() => act(undone())}>
            Undo the edit
          </Button>
          <Button size="compact-xs" onClick={() => void anew()}>
            Write it anew
          </Button>
        </Group>
      </Group>
    </Alert>
  );
}
