import { Anchor, Code, Loader, Table, Text } from '@mantine/core';
import { Link } from 'react-router';
import { useListFiresQuery } from '../../services/api';
import type { Trigger } from '../../services/schema';
import { instant } from '../../utils/time';
import { Failed } from '../common/Failed';
import { Value } from '../common/Value';

/** A trigger in detail: its next occasions, its address, and what came of the last ones. */
export function Fires({ trigger }: { trigger: Trigger }) {
  const fires = useListFiresQuery({ id: trigger.id }, { refetchOnMountOrArgChange: true });
  return (
    <div className="fires">
      <div>
        {trigger.next_fires.length > 0 && (
          <>
            <Text size="sm" fw={600}>
              Next, by your clock
            </Text>
            <ul className="fires-next">
              {trigger.next_fires.map((at) => (
                <li key={at}>{instant(at)}</li>
              ))}
            </ul>
          </>
        )}
        {trigger.address && (
          <Text size="sm" component="div">
            Deliveries go to <Code>{`${location.origin}${trigger.address}`}</Code>
          </Text>
        )}
        <Value name="Settings" value={trigger.settings as unknown} />
      </div>
      <div>
        <Text size="sm" fw={600}>
          Last occasions
        </Text>
        {fires.isLoading && <Loader size="sm" aria-label="The occasions are loading" />}
        {fires.error && (
          <Failed what="The occasions can’t be had" error={fires.error} again={() => void fires.refetch()} />
        )}
        {fires.data?.items.length === 0 && <Text size="sm">There was none yet.</Text>}
        {(fires.data?.items.length ?? 0) > 0 && (
          <Table fz="sm" withRowBorders={false}>
            <Table.Tbody>
              {fires.data?.items.map((fire) => (
                <Table.Tr key={`${fire.occasion} ${fire.at}`}>
                  <Table.Td>{instant(fire.at)}</Table.Td>
                  <Table.Td>
                    {fire.outcome}
                    {fire.missed > 0 && `, ${fire.missed} missed before`}
                  </Table.Td>
                  <Table.Td>
                    {fire.run_id ? (
                      <Anchor component={Link} to={`/runs/${fire.run_id}`} size="sm">
                        Open the run
                      </Anchor>
                    ) : (
                      (fire.detail ?? fire.code)
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </div>
    </div>
  );
}
