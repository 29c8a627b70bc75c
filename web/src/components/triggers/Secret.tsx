import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { curlOf } from '../../model/triggers';
import type { TriggerMade } from '../../services/schema';
import { Value } from '../common/Value';

/** The secret of a webhook: shown this once, since nobody can show it again. */
export function Secret({ made, onClose }: { made: TriggerMade; onClose: () => void }) {
  const address = `${location.origin}${made.address ?? ''}`;
  const secret = made.secret ?? '';
  const { scheme } = (made.settings ?? {}) as { scheme?: unknown };
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title="The secret of the webhook"
      closeOnClickOutside={false}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack>
        <Text size="sm">
          It is shown this once. Give it to the sender now, with the address; a lost one is replaced by a new
          one.
        </Text>
        <Value name="Secret" value={secret} />
        <Value name="Address" value={address} />
        <Value name="To try it" value={curlOf(scheme, address, secret)} />
        <Group justify="flex-end">
          <Button onClick={onClose}>I have it</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
