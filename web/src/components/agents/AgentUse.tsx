import { Anchor, Loader, Table, Text, Title } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { byTokens, short, spanOf, tokensOf } from '../../model/usage';
import { useGetUsageQuery, useListAgentsQuery, useListWorkflowsQuery } from '../../services/api';
import { Failed } from '../common/Failed';

const DAYS = 90;

/** Where an agent was used: by the runs that have ended, and by the agents that may ask it. */
export function AgentUse({ name }: { name: string }) {
  const [span] = useState(() => spanOf(DAYS, Date.now()));
  const usage = useGetUsageQuery({ ...span, by: ['agent', 'workflow'], limit: 1000 });
  const workflows = useListWorkflowsQuery({ limit: 1000 });
  const agents = useListAgentsQuery({ limit: 1000 });
  const names = new Map(workflows.data?.items.map((one) => [one.id, one.name]));
  const lines = byTokens(usage.data?.items.filter((line) => line.agent === name) ?? []);
  const askedBy = agents.data?.items.filter((one) => one.allow_delegation && one.delegate_to?.includes(name));
  return (
    <section aria-label="Where it is used">
      <Title order={2}>Where it is used</Title>
      {askedBy && askedBy.length > 0 && (
        <Text size="sm" className="agent-asks">
          May be asked by
          {askedBy.map((one) => (
            <Anchor key={one.name} component={Link} to={`/agents/${encodeURIComponent(one.name)}`} size="sm">
              {one.name}
            </Anchor>
          ))}
        </Text>
      )}
      {usage.isLoading && <Loader size="sm" aria-label="Its use is loading" />}
      {usage.error && (
        <Failed what="Its use can’t be had" error={usage.error} again={() => void usage.refetch()} />
      )}
      {usage.data && lines.length === 0 && (
        <Text size="sm" c="dimmed">
          No run that ended in the last {DAYS} days asked it.
        </Text>
      )}
      {lines.length > 0 && (
        <Table className="table" fz="sm" mt="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Workflow, in the last {DAYS} days</Table.Th>
              <Table.Th ta="right">Calls</Table.Th>
              <Table.Th ta="right">Tokens</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {lines.map((line) => (
              <Table.Tr key={line.workflow_id ?? ''}>
                <Table.Td>
                  {line.workflow_id ? (
                    <Anchor component={Link} to={`/workflows/${line.workflow_id}`} size="sm">
                      {names.get(line.workflow_id) ?? 'a workflow that is deleted'}
                    </Anchor>
                  ) : (
                    'none: the definition came along'
                  )}
                </Table.Td>
                <Table.Td ta="right">{line.calls}</Table.Td>
                <Table.Td ta="right">{short(tokensOf(line))}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </section>
  );
}
