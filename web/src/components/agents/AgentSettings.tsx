import { Anchor, Table, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { useListToolsQuery } from '../../services/api';
import type { Agent } from '../../services/schema';
import { Value } from '../common/Value';

/** How an agent is configured. Its file is the server’s, so nothing is changed here. */
export function AgentSettings({ agent }: { agent: Agent }) {
  const tools = useListToolsQuery();
  const own = tools.data?.items.filter((tool) => tool.agents.includes(agent.name)) ?? [];
  const rows: [string, ReactNode][] = [
    ['Model', agent.model],
    ['If it gives no answer', agent.fallback_models?.join(', ')],
    ['Temperature', agent.temperature],
    ['Tokens of an answer', agent.max_tokens && `at most ${agent.max_tokens}`],
    ['Tried again', agent.retry_policy && `${agent.retry_policy.max_retries} times`],
    ['Role', agent.role],
    ['Goal', agent.goal],
    ['Backstory', agent.backstory],
    ['May ask', agent.allow_delegation && agent.delegate_to?.length ? asks(agent.delegate_to) : null],
  ];
  return (
    <section aria-label="Settings">
      <Title order={2}>What it is told</Title>
      <Text size="sm" c="dimmed" mb="xs">
        {agent.summary}
      </Text>
      <Table className="table" fz="sm">
        <Table.Tbody>
          {rows.map(([name, value]) =>
            value === null || value === undefined || value === '' ? null : (
              <Table.Tr key={name}>
                <Table.Th scope="row" w={170}>
                  {name}
                </Table.Th>
                <Table.Td>{value}</Table.Td>
              </Table.Tr>
            ),
          )}
        </Table.Tbody>
      </Table>
      {agent.instructions && <Value name="Instructions" value={agent.instructions} />}
      {agent.output_schema !== undefined && agent.output_schema !== null && (
        <Value name="Its answers are" value={agent.output_schema as unknown} />
      )}
      {own.length > 0 && (
        <>
          <Title order={3} mt="md" mb="xs">
            Tools
          </Title>
          <Table className="table" fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Tool</Table.Th>
                <Table.Th>Kind</Table.Th>
                <Table.Th>What for</Table.Th>
                <Table.Th>Costs a call</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {own.map((tool) => (
                <Table.Tr key={tool.name}>
                  <Table.Td className="id">{tool.name}</Table.Td>
                  <Table.Td>{tool.type}</Table.Td>
                  <Table.Td>{tool.description}</Table.Td>
                  <Table.Td>about {tool.tokens} tokens</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </>
      )}
    </section>
  );
}

const asks = (names: string[]): ReactNode => (
  <span className="agent-asks">
    {names.map((name) => (
      <Anchor key={name} component={Link} to={`/agents/${encodeURIComponent(name)}`} size="sm">
        {name}
      </Anchor>
    ))}
  </span>
);
