import { Table, Text } from '@mantine/core';
import { useGetHealthQuery, useGetReadinessQuery, isFailure } from '../../services/api';
import { Status } from '../common/Status';
import { Part } from './Part';

const NAMES: Record<string, string> = {
  sidecar: 'Sidecar',
  catalog: 'Catalog takes writes',
  state: 'State store takes writes',
  server: 'Server',
};

/** What the server is, and whether what it depends on does its work. */
export function About() {
  const health = useGetHealthQuery();
  const ready = useGetReadinessQuery(undefined, { pollingInterval: 10_000, skipPollingIfUnfocused: true });
  // What is not ready says so with the same checks.
  const refused = isFailure(ready.error) ? (ready.error as unknown as { checks?: object }).checks : undefined;
  const checks = Object.entries((ready.data?.checks ?? refused ?? {}) as Record<string, string>);
  return (
    <Part title="About">
      <Text size="sm" mb="xs">
        Callboard {health.data?.version ?? ''}, at {location.origin}
      </Text>
      {checks.length > 0 && (
        <Table withRowBorders={false} fz="sm">
          <Table.Tbody>
            {checks.map(([name, said]) => (
              <Table.Tr key={name}>
                <Table.Td w={220}>{NAMES[name] ?? name}</Table.Td>
                <Table.Td>
                  {said === 'ok' ? <Status of="completed" short /> : <Status of="failed" short />} {said}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Text size="sm" c="dimmed" mt="xs">
        Which model answers stands on each agent’s step. A key for a provider is set where the server is
        started (OPENAI_API_KEY), never on this page; without one the answers come from a script and begin
        with [scripted].
      </Text>
    </Part>
  );
}
