import { Loader } from '@mantine/core';
import { IconRobot } from '@tabler/icons-react';
import { useListAgentsQuery } from '../../services/api';
import { Failed } from '../common/Failed';
import { PageHead } from '../common/PageHead';
import { State } from '../common/State';
import { AgentCard } from './AgentCard';
import { Scripted } from './Scripted';
import './agents.css';

/** The agents that definitions may name. They stand in a file of the server. */
export function AgentsPage() {
  const agents = useListAgentsQuery({ limit: 1000 });
  if (agents.isLoading) return <Loader m="xl" aria-label="The agents are loading" />;
  if (!agents.data) {
    return <Failed what="The agents can’t be had" error={agents.error} again={() => void agents.refetch()} />;
  }
  const { items } = agents.data;
  return (
    <>
      <PageHead title="Agents" />
      <div className="page">
        <Scripted />
        {items.length === 0 ? (
          <State
            icon={<IconRobot size={40} stroke={1.3} aria-hidden />}
            title="There are no agents"
            text="They stand in the file that the server’s setting agents.file names, and are read when it starts."
          />
        ) : (
          <div className="agent-tiles">
            {items.map((agent) => (
              <AgentCard key={agent.name} agent={agent} />
            ))}
          </div>
        )}
      </div>
    </>
  );
}
