import { ActionIcon, Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import { useState } from 'react';
import { useStore } from 'react-redux';
import { Link, useNavigate } from 'react-router';
import { write } from '../../model/lossless';
import {
  useCreateDraftMutation,
  useDeleteWorkflowMutation,
  useDiscardDraftMutation,
  useLazyExportedQuery,
  useLazyOpenWorkflowQuery,
} from '../../services/api';
import { opened, pinsFound } from '../../services/state';
import { useAct, type State } from '../../services/store';
import { download } from '../../utils/download';
import { Sure } from '../common/Sure';
import type { Save } from './save';

/** What else can be done with a workflow. */
export function EditorMenu({ id, save, mayEdit }: { id: string; save: Save; mayEdit: boolean }) {
  const act = useAct();
  const store = useStore<State>();
  const navigate = useNavigate();
  const [create] = useCreateDraftMutation();
  const [exported] = useLazyExportedQuery();
  const [open] = useLazyOpenWorkflowQuery();
  const [discard] = useDiscardDraftMutation();
  const [remove] = useDeleteWorkflowMutation();
  const [asks, setAsks] = useState<'delete' | 'discard' | null>(null);
  const document = () => store.getState().workflow.document;
  const duplicate = async () => {
    const copy = { ...document(), name: `${document().name} (copy)` };
    const { data } = await create({ text: write(copy), type: 'application/json' });
    if (data) await navigate(`/workflows/${data.id}`);
  };
  const asYaml = async () => {
    await save.save();
    const { data } = await exported({ id, version: save.isDraft ? 'draft' : save.version });
    if (data !== undefined) download(`${document().name}.yaml`, data, 'application/yaml');
  };
  /** Back to the version that is published. */
  const back = async () => {
    const { error } = await discard({ id, 'If-Match': `"${save.etag}"` });
    if (error) return;
    const { data } = await open(id);
    if (!data) return;
    const { pins } = store.getState().workflow;
    act(opened(data.definition, data.text));
    act(pinsFound(pins));
    save.stands(data.etag, data.version);
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
          <Menu.Item component={Link} to={`/workflows/${id}/versions`}>
            Versions
          </Menu.Item>
          <Menu.Item component={Link} to={`/triggers?workflow=${id}`}>
            Its triggers
          </Menu.Item>
          <Menu.Item onClick={() => void asYaml()}>Export as YAML</Menu.Item>
          <Menu.Item onClick={() => download(`${document().name}.json`, write(document(), 2))}>
            Export as JSON
          </Menu.Item>
          {mayEdit && <Menu.Item onClick={() => void duplicate()}>Duplicate</Menu.Item>}
          {mayEdit && save.version > 0 && save.isDraft && (
            <Menu.Item onClick={() => setAsks('discard')}>Back to version {save.version}</Menu.Item>
          )}
          {mayEdit && (
            <Menu.Item color="red" onClick={() => setAsks('delete')}>
              Delete
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <Sure
        opened={asks === 'discard'}
        title={`Go back to version ${save.version}?`}
        text="The draft is forgotten, for everybody who edits it. It can’t be had again."
        action="Forget the draft"
        onClose={() => setAsks(null)}
        onSure={() => void back()}
      />
      <Sure
        opened={asks === 'delete'}
        title="Delete this workflow?"
        text="It is hidden for everybody. Its runs go on and stay to be seen."
        action="Delete it"
        onClose={() => setAsks(null)}
        onSure={() => {
          void remove({ id, 'Idempotency-Key': crypto.randomUUID() }).then(() => navigate('/'));
        }}
      />
    </>
  );
}
