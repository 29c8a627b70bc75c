import { Anchor, Group, Loader, Title } from '@mantine/core';
import { Link, useParams } from 'react-router';
import { isFailure, useGetAgentQuery } from '../../services/api';
import { Failed } from '../common/Failed';
import { NotFound } from '../common/NotFound';
import { AgentSettings } from './AgentSettings';
import { AgentUse } from './AgentUse';
import { Scripted } from './Scripted';
import { Talk } from './Talk';
import './agents.css';

/** One agent: what it is told, what it may do, where it is used, and a talk with it. */
export function AgentPage() {
  const { name = '' } = useParams();
  const { currentData: agent, error, refetch } = useGetAgentQuery({ id: name });
  if (isFailure(error) && error.status === 404) return <NotFound />;
  if (error) return <Failed what="The agent can’t be had" error={error} again={() => void refetch()} />;
  if (!agent) return <Loader m="xl" aria-label="The agent is loading" />;
  return (
    <>
      <header className="page-head">
        <Group gap="xs">
          <Anchor component={Link} to="/agents" size="sm">
            Agents
          </Anchor>
          <span aria-hidden>/</span>
          <Title order={1}>{agent.name}</Title>
        </Group>
      </header>
      <div className="page agent-page">
        <div className="agent-parts">
          <AgentSettings agent={agent} />
          <AgentUse name={agent.name} />
        </div>
        <div className="agent-parts">
          <Scripted />
          <Talk key={agent.name} agent={agent.name} />
        </div>
      </div>
    </>
  );
}
