import { ActionIcon, Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDots } from '@tabler/icons-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import {
  sentenceOf,
  useDeleteTriggerMutation,
  useFireTriggerMutation,
  useRenewTriggerSecretMutation,
} from '../../services/api';
import type { Trigger, TriggerMade } from '../../services/schema';
import { useMay } from '../../utils/may';
import { Sure } from '../common/Sure';

interface Props {
  trigger: Trigger;
  title: string;
  onEdit: () => void;
  onSecret: (made: TriggerMade) => void;
}

/** What can be done with a trigger. */
export function TriggerMenu({ trigger, title, onEdit, onSecret }: Props) {
  const may = useMay();
  const navigate = useNavigate();
  const { id } = trigger;
  const [fire] = useFireTriggerMutation();
  const [renew] = useRenewTriggerSecretMutation();
  const [remove] = useDeleteTriggerMutation();
  const [asks, setAsks] = useState<'secret' | 'delete' | null>(null);
  const refused = (what: string, error: unknown) =>
    notifications.show({ title: what, message: sentenceOf(error), color: 'red', autoClose: false });
  const fires = async () => {
    const { data, error } = await fire({ id, 'Idempotency-Key': crypto.randomUUID(), fireNow: {} });
    if (error) refused('It was not fired', error);
    else if (data.run_id) await navigate(`/runs/${data.run_id}`);
  };
  const renews = async () => {
    const { data, error } = await renew({ id });
    if (error) refused('There is no new secret', error);
    else onSecret(data);
  };
  const deletes = async () => {
    const { error } = await remove({ id });
    if (error) refused('It was not deleted', error);
  };
  if (!may('operate')) return null;
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size={24} aria-label={`What to do with ${title}`}>
            <IconDots size={16} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void fires()}>Fire now</Menu.Item>
          {may('edit') && <Menu.Item onClick={onEdit}>Change it…</Menu.Item>}
          {may('edit') && trigger.kind === 'webhook' && (
            <Menu.Item onClick={() => setAsks('secret')}>Make a new secret</Menu.Item>
          )}
          {may('edit') && (
            <Menu.Item color="red" onClick={() => setAsks('delete')}>
              Delete
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <Sure
        opened={asks === 'secret'}
        title="Make a new secret?"
        text="The one before ends at once: deliveries that are signed with it are refused."
        action="Make it"
        onClose={() => setAsks(null)}
        onSure={() => void renews()}
      />
      <Sure
        opened={asks === 'delete'}
        title={`Delete ${title}?`}
        text="It fires no more, and can’t be had again. What it started goes on."
        action="Delete it"
        onClose={() => setAsks(null)}
        onSure={() => void deletes()}
      />
    </>
  );
}
