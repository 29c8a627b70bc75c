import { Anchor, Table } from '@mantine/core';
import { Link } from 'react-router';
import type { RunItem, WorkflowLine } from '../../services/schema';
import { ago, instant } from '../../utils/time';
import { Status } from '../common/Status';
import { Spark } from './Spark';

/** Runs of one workflow that are drawn. */
const DRAWN = 20;

export function WorkflowTable({ workflows, runs }: { workflows: WorkflowLine[]; runs: RunItem[] }) {
  if (workflows.length === 0) return null;
  return (
    <Table className="table" highlightOnHover verticalSpacing="sm">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Name</Table.Th>
          <Table.Th>Last run</Table.Th>
          <Table.Th>Runs before, newest right</Table.Th>
          <Table.Th>Version</Table.Th>
          <Table.Th>Changed</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {workflows.map((workflow) => {
          const own = runs.filter((run) => run.workflow_id === workflow.id).slice(0, DRAWN);
          return (
            <Table.Tr key={workflow.id}>
              <Table.Td>
                <Anchor component={Link} to={`/workflows/${workflow.id}`} fw={600}>
                  {workflow.name}
                </Anchor>
                {workflow.description && <div className="table-about">{workflow.description}</div>}
              </Table.Td>
              <Table.Td>
                {workflow.problems.length > 0 ? <Status of="problems" /> : <Status of={workflow.status} />}
              </Table.Td>
              <Table.Td>
                {own.length > 0 && (
                  <Link to={`/workflows/${workflow.id}/runs`} aria-label={`Runs of ${workflow.name}`}>
                    <Spark runs={own} />
                  </Link>
                )}
              </Table.Td>
              <Table.Td>{workflow.version > 0 ? workflow.version : 'draft'}</Table.Td>
              <Table.Td title={instant(workflow.updated_at)}>{ago(workflow.updated_at)}</Table.Td>
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}
