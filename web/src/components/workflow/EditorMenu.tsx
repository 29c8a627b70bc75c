import { ActionIcon, Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import { useState } from 'react';
import { useStore } from 'react-redux';
import { Link, useNavigate } from 'react-router';
import { write } from '../../model/lossless';
import { useDeleteWorkflowMutation, useSaveDefinitionMutation } from '../../services/api';
import type { State } from '../../services/store';
import { download } from '../../utils/download';
import { Sure } from '../common/Sure';

/** What else can be done with a workflow. */
export function EditorMenu({ id, mayEdit }: { id: string; mayEdit: boolean }) {
  const store = useStore<State>();
  const navigate = useNavigate();
  const [save] = useSaveDefinitionMutation();
  const [remove] = useDeleteWorkflowMutation();
  const [asks, setAsks] = useState(false);
  const document = () => store.getState().workflow.document;
  const duplicate = async () => {
    const copy = { ...document(), name: `${document().name} (copy)` };
    const { data } = await save({ text: write(copy) });
    if (data) await navigate(`/workflows/${data.id}`);
  };
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="default" size={30} aria-label="More">
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item component={Link} to={`/workflows/${id}/runs`}>
            Its runs
          </Menu.Item>
          <Menu.Item onClick={() => download(`${document().name}.json`, write(document(), 2))}>
            Export as JSON
          </Menu.Item>
          {mayEdit && <Menu.Item onClick={() => void duplicate()}>Duplicate</Menu.Item>}
          {mayEdit && (
            <Menu.Item color="red" onClick={() => setAsks(true)}>
              Delete
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <Sure
        opened={asks}
        title="Delete this workflow?"
        text="It is hidden for everybody. Its runs go on and stay to be seen."
        action="Delete it"
        onClose={() => setAsks(false)}
        onSure={() => {
          void remove({ id, 'Idempotency-Key': crypto.randomUUID() }).then(() => navigate('/'));
        }}
      />
    </>
  );
}
