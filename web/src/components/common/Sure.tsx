import { Button, Group, Modal, Text } from '@mantine/core';

interface Props {
  opened: boolean;
  title: string;
  text: string;
  action: string;
  onClose: () => void;
  onSure: () => void;
}

/** Asks once more before something that can't be taken back. */
export function Sure({ opened, title, text, action, onClose, onSure }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
      <Text size="sm">{text}</Text>
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose}>
          Leave it
        </Button>
        <Button
          color="red"
          onClick={() => {
            onSure();
            onClose();
          }}
        >
          {action}
        </Button>
      </Group>
    </Modal>
  );
}
