import { Anchor, Button, Switch, Table } from '@mantine/core';
import { IconClock, IconWebhook } from '@tabler/icons-react';
import { Fragment, useState } from 'react';
import { Link } from 'react-router';
import { saidOf } from '../../model/triggers';
import { sentenceOf, useDisableTriggerMutation, useEnableTriggerMutation } from '../../services/api';
import type { Trigger, TriggerMade, WorkflowLine } from '../../services/schema';
import { useMay } from '../../utils/may';
import { ago, instant, until } from '../../utils/time';
import { Fires } from './Fires';
import { TriggerMenu } from './TriggerMenu';

interface Props {
  triggers: Trigger[];
  workflows: WorkflowLine[];
  onEdit: (trigger: Trigger) => void;
  onSecret: (made: TriggerMade) => void;
}

/** Triggers with what they start, and when; each opens on what came of its last occasions. */
export function TriggerTable({ triggers, workflows, onEdit, onSecret }: Props) {
  const [opened, setOpened] = useState<string | null>(null);
  return (
    <Table className="table" verticalSpacing="sm">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Trigger</Table.Th>
          <Table.Th>Starts</Table.Th>
          <Table.Th>Next</Table.Th>
          <Table.Th>Last run</Table.Th>
          <Table.Th>Fires</Table.Th>
          <Table.Th>
            <span className="visually-hidden">Actions</span>
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {triggers.map((trigger) => {
          const isOpen = opened === trigger.id;
          return (
            <Fragment key={trigger.id}>
              <Row
                trigger={trigger}
                workflow={workflows.find((one) => one.id === trigger.workflow_id)}
                isOpen={isOpen}
                onOpen={() => setOpened(isOpen ? null : trigger.id)}
                onEdit={() => onEdit(trigger)}
                onSecret={onSecret}
              />
              {isOpen && (
                <Table.Tr>
                  <Table.Td colSpan={6}>
                    <Fires trigger={trigger} />
                  </Table.Td>
                </Table.Tr>
              )}
            </Fragment>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}

interface RowProps {
  trigger: Trigger;
  workflow: WorkflowLine | undefined;
  isOpen: boolean;
  onOpen: () => void;
  onEdit: () => void;
  onSecret: (made: TriggerMade) => void;
}

function Row({ trigger, workflow, isOpen, onOpen, onEdit, onSecret }: RowProps) {
  const may = useMay();
  const [enable, enabling] = useEnableTriggerMutation();
  const [disable, disabling] = useDisableTriggerMutation();
  const isSchedule = trigger.kind === 'schedule';
  const Sign = isSchedule ? IconClock : IconWebhook;
  const title = trigger.name || (isSchedule ? 'schedule' : 'webhook');
  const error = enabling.error ?? disabling.error;
  const next = trigger.next_fires[0];
  return (
    <Table.Tr>
      <Table.Td>
        <div className="trigger-name">
          <Sign size={18} stroke={1.6} aria-label={isSchedule ? 'Schedule' : 'Webhook'} />
          <strong>{title}</strong>
        </div>
        <div className="trigger-said">{saidOf(trigger.kind, trigger.settings)}</div>
        {error && <div className="trigger-bad">{sentenceOf(error)}</div>}
      </Table.Td>
      <Table.Td>
        <Anchor component={Link} to={`/workflows/${trigger.workflow_id}`} size="sm">
          {workflow?.name ?? 'a workflow'}
        </Anchor>
      </Table.Td>
      <Table.Td>
        {!trigger.enabled && 'paused'}
        {trigger.enabled && next && <span title={instant(next)}>{until(next)}</span>}
        {trigger.enabled && !isSchedule && 'when it is called'}
      </Table.Td>
      <Table.Td>
        {trigger.last_at ? (
          <span title={instant(trigger.last_at)}>{ago(trigger.last_at)}</span>
        ) : (
          isSchedule && '–'
        )}
      </Table.Td>
      <Table.Td>
        <Switch
          aria-label={`${title} fires`}
          disabled={!may('edit') || enabling.isLoading || disabling.isLoading}
          checked={trigger.enabled}
          onChange={(event) => {
            const { id } = trigger;
            void (event.currentTarget.checked ? enable({ id }) : disable({ id }));
          }}
        />
      </Table.Td>
      <Table.Td>
        <div className="trigger-acts">
          <Button size="compact-xs" variant="default" aria-expanded={isOpen} onClick={onOpen}>
            {isOpen ? 'Less' : 'More'}
          </Button>
          <TriggerMenu trigger={trigger} title={title} onEdit={onEdit} onSecret={onSecret} />
        </div>
      </Table.Td>
    </Table.Tr>
  );
}
