import { Anchor, Loader, Table, Title } from '@mantine/core';
import { Link } from 'react-router';
import { byTokens, short, tokensOf } from '../../model/usage';
import { useGetUsageQuery, useListWorkflowsQuery } from '../../services/api';
import type { UsageLine } from '../../services/schema';
import { Failed } from '../common/Failed';

interface Props {
  span: { from: string; to: string };
  by: 'workflow' | 'agent' | 'model';
  title: string;
}

const HEADS = { workflow: 'Workflow', agent: 'Agent', model: 'Model' };
/** Lines that are shown; the rest is one more. */
const SHOWN = 12;

/** Who used how much of the whole, the most first. */
export function Shares({ span, by, title }: Props) {
  const usage = useGetUsageQuery({ ...span, by: [by], limit: 1000 }, { refetchOnMountOrArgChange: true });
  const workflows = useListWorkflowsQuery({ limit: 1000 }, { skip: by !== 'workflow' });
  const names = new Map(workflows.data?.items.map((one) => [one.id, one.name]));
  const lines = byTokens(usage.data?.items ?? []);
  const all = tokensOf(usage.data?.total ?? { calls: 0, prompt_tokens: 0, completion_tokens: 0 });
  const rest = lines.slice(SHOWN).reduce((sum, line) => sum + tokensOf(line), 0);
  return (
    <section aria-label={title}>
      <Title order={2} mb="xs">
        {title}
      </Title>
      {usage.isLoading && <Loader size="sm" aria-label={`${title} is loading`} />}
      {usage.error && (
        <Failed what="It can’t be had" error={usage.error} again={() => void usage.refetch()} />
      )}
      {lines.length > 0 && (
        <Table className="table" fz="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{HEADS[by]}</Table.Th>
              <Table.Th ta="right">Calls</Table.Th>
              <Table.Th ta="right">Tokens</Table.Th>
              <Table.Th ta="right">Share</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {lines.slice(0, SHOWN).map((line) => (
              <Table.Tr key={keyOf(line)}>
                <Table.Td>{nameOf(line, by, names)}</Table.Td>
                <Table.Td ta="right">{short(line.calls)}</Table.Td>
                <Table.Td ta="right">{short(tokensOf(line))}</Table.Td>
                <Share of={tokensOf(line)} all={all} />
              </Table.Tr>
            ))}
            {rest > 0 && (
              <Table.Tr>
                <Table.Td>and {lines.length - SHOWN} more</Table.Td>
                <Table.Td />
                <Table.Td ta="right">{short(rest)}</Table.Td>
                <Share of={rest} all={all} />
              </Table.Tr>
            )}
          </Table.Tbody>
        </Table>
      )}
    </section>
  );
}

function Share({ of, all }: { of: number; all: number }) {
  const percent = all > 0 ? Math.round((100 * of) / all) : 0;
  return (
    <Table.Td ta="right" className="share">
      <span className="share-bar" style={{ width: `${percent}%` }} aria-hidden />
      {percent} %
    </Table.Td>
  );
}

const keyOf = (line: UsageLine): string =>
  `${line.workflow_id ?? ''} ${line.agent ?? ''} ${line.model ?? ''}`;

function nameOf(line: UsageLine, by: Props['by'], names: ReadonlyMap<string, string>) {
  if (by === 'model') return line.model === '' ? 'workers outside' : line.model;
  if (by === 'agent') {
    if (!line.agent) return 'not known any more';
    return (
      <Anchor component={Link} to={`/agents/${encodeURIComponent(line.agent)}`} size="sm">
        {line.agent}
      </Anchor>
    );
  }
  if (!line.workflow_id) return 'none: the definition came along';
  return (
    <Anchor component={Link} to={`/workflows/${line.workflow_id}`} size="sm">
      {names.get(line.workflow_id) ?? 'a workflow that is deleted'}
    </Anchor>
  );
}
