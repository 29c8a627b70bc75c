import { Autocomplete } from '@mantine/core';
import { useMemo } from 'react';
import { allNodes } from '../../model/document';
import { useListAgentsQuery } from '../../services/api';
import { useSeen } from '../../services/store';

interface Props {
  id: string;
  value: string;
  disabled?: boolean;
  onChange: (value: string) => void;
}

/** Which agent a node asks: a name of the server's agents, or of workers outside. Those that are known are offered. */
export function AgentConfig({ id, value, disabled, onChange }: Props) {
  const document = useSeen((state) => state.workflow.document);
  const { data } = useListAgentsQuery({ limit: 1000 });
  const names = useMemo(() => {
    const used = allNodes(document).map(({ node }) => node.config?.agent);
    const texts = used.filter((name): name is string => typeof name === 'string' && name !== '');
    return [...new Set([...(data?.items ?? []).map(({ name }) => name), ...texts])].sort();
  }, [data, document]);
  return (
    <Autocomplete
      id={id}
      placeholder="a name of the agents’ file, such as research"
      data={names}
      disabled={disabled}
      value={value}
      onChange={onChange}
    />
  );
}
