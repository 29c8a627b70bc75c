import { Table } from '@mantine/core';
import { write } from '../../model/lossless';

const ROWS = 100;
const COLUMNS = 8;

/** A list of objects as a table, its first rows and columns. */
export function Grid({ rows }: { rows: Record<string, unknown>[] }) {
  const columns = [...new Set(rows.slice(0, ROWS).flatMap((row) => Object.keys(row)))].slice(0, COLUMNS);
  return (
    <div className="grid">
      <Table withTableBorder striped stickyHeader fz="xs">
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) => (
              <Table.Th key={column}>{column}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.slice(0, ROWS).map((row, index) => (
            <Table.Tr key={index}>
              {columns.map((column) => (
                <Table.Td key={column}>{shown(row[column])}</Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

const shown = (value: unknown): string => {
  if (value === undefined) return '';
  const text = typeof value === 'string' ? value : write(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
};
