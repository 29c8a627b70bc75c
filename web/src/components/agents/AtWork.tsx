import { Text } from '@mantine/core';
import { IconRobot } from '@tabler/icons-react';
import { shallowEqual } from 'react-redux';
import { useSeen } from '../../services/store';

/** An agent at work: what it says, while it says it. */
export function AtWork({ node }: { node: string }) {
  const said = useSeen(
    (state) => state.workflow.agents.filter((agent) => agent.node === node).map((agent) => agent.said),
    shallowEqual,
  );
  return (
    <div className="agent-card">
      <Text size="sm" fw={600}>
        <IconRobot size={16} aria-hidden /> At work
      </Text>
      {said.length === 0 && (
        <Text size="sm" c="dimmed">
          Nothing was said yet.
        </Text>
      )}
      {said.map((text, index) => (
        <p key={index} className="agent-said">
          {text}
        </p>
      ))}
    </div>
  );
}
