import { Anchor, Checkbox, Table } from '@mantine/core';
import { Link } from 'react-router';
import { saidOf } from '../../model/pins';
import type { RunItem } from '../../services/schema';
import { ago, between, instant, span } from '../../utils/time';
import { Status } from '../common/Status';

interface Props {
  runs: RunItem[];
  names: ReadonlyMap<string, string>;
  marked: ReadonlySet<string>;
  canMark: boolean;
  onMark: (marked: Set<string>) => void;
}

export function RunTable({ runs, names, marked, canMark, onMark }: Props) {
  const mark = (id: string, is: boolean) => {
    const next = new Set(marked);
    next[is ? 'add' : 'delete'](id);
    onMark(next);
  };
  return (
    <Table className="table run-table" highlightOnHover>
      <Table.Thead>
        <Table.Tr>
          {canMark && (
            <Table.Th w={36}>
              <Checkbox
                size="xs"
                aria-label="All of this page"
                checked={runs.every((run) => marked.has(run.id))}
                onChange={(event) =>
                  onMark(new Set(event.currentTarget.checked ? runs.map((run) => run.id) : []))
                }
              />
            </Table.Th>
          )}
          <Table.Th>Status</Table.Th>
          <Table.Th>Run</Table.Th>
          <Table.Th>Workflow</Table.Th>
          <Table.Th>Began</Table.Th>
          <Table.Th>Took</Table.Th>
          <Table.Th>Tokens</Table.Th>
          <Table.Th>What went wrong</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {runs.map((run) => (
          <Table.Tr key={run.id}>
            {canMark && (
              <Table.Td>
                <Checkbox
                  size="xs"
                  aria-label={`Run ${run.id}`}
                  checked={marked.has(run.id)}
                  onChange={(event) => mark(run.id, event.currentTarget.checked)}
                />
              </Table.Td>
            )}
            <Table.Td>
              <Status of={run.status} />
            </Table.Td>
            <Table.Td>
              <Anchor component={Link} to={`/runs/${run.id}`} className="id" title={run.id}>
                {run.id}
              </Anchor>
            </Table.Td>
            <Table.Td>
              {run.workflow_id ? (names.get(run.workflow_id) ?? 'deleted') : 'none: it came along'}
              {'trial' in run && run.trial && <div className="run-tried">{saidOf(run.trial)}</div>}
            </Table.Td>
            <Table.Td title={instant(run.created_at)}>{ago(run.created_at)}</Table.Td>
            <Took run={run} />
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Took({ run }: { run: RunItem }) {
  if (!('usage' in run))
    return <Table.Td colSpan={3}>It can’t be read: it is damaged, or newer than this server.</Table.Td>;
  const ms = between(run.started_at, run.ended_at);
  const tokens = run.usage.prompt_tokens + run.usage.completion_tokens;
  return (
    <>
      <Table.Td>{ms === null ? '' : span(ms)}</Table.Td>
      <Table.Td>{tokens || ''}</Table.Td>
      <Table.Td>
        {run.error ? `${run.error.code}${run.error.node ? ` at ${run.error.node}` : ''}` : ''}
      </Table.Td>
    </>
  );
}
