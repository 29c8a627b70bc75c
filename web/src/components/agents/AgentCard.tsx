import { Text, Title } from '@mantine/core';
import { IconRobot } from '@tabler/icons-react';
import { Link } from 'react-router';
import type { Agent } from '../../services/schema';

/** An agent in the list of them: what it is for, and who answers. */
export function AgentCard({ agent }: { agent: Agent }) {
  const tools = agent.tools?.length ?? 0;
  const asks = agent.delegate_to ?? [];
  return (
    <Link className="agent-tile" to={`/agents/${encodeURIComponent(agent.name)}`} data-family="agent">
      <Title order={2}>
        <IconRobot size={18} stroke={1.6} aria-hidden /> {agent.name}
      </Title>
      <Text size="sm">{agent.summary}</Text>
      <div className="facts">
        <span>{agent.model}</span>
        {tools > 0 && <span>{tools === 1 ? '1 tool' : `${tools} tools`}</span>}
        {agent.allow_delegation && asks.length > 0 && <span>asks {asks.join(', ')}</span>}
      </div>
    </Link>
  );
}
