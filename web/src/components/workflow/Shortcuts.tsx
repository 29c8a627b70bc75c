import { Kbd, Modal, Table } from '@mantine/core';

const KEYS: [string, string][] = [
  ['N or /', 'choose a kind and add a node'],
  ['Delete', 'delete what is selected'],
  ['Ctrl+Z, Ctrl+Shift+Z', 'undo, redo'],
  ['Ctrl+C, Ctrl+X, Ctrl+V', 'copy, cut, paste'],
  ['Ctrl+D', 'duplicate'],
  ['Ctrl+K', 'find a command, a node or a workflow'],
  ['Ctrl+S', 'save now; it is saved by itself, too'],
  ['Ctrl+Enter', 'run: the draft where there is one'],
  ['Tab, Enter', 'go to the next node or edge, select it'],
  ['Arrow keys', 'move the selected node'],
  ['Shift and drag', 'select with a box'],
  ['?', 'this list'],
];

/** Everything the keyboard does on the drawing. Keys without Ctrl work only while the drawing has the focus. */
export function Shortcuts({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title="Keyboard shortcuts"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Table withRowBorders={false}>
        <Table.Tbody>
          {KEYS.map(([key, does]) => (
            <Table.Tr key={key}>
              <Table.Td>
                <Kbd>{key}</Kbd>
              </Table.Td>
              <Table.Td>{does}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
