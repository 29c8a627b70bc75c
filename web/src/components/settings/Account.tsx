import { Button, Group, Text } from '@mantine/core';
import { useGetMeQuery } from '../../services/api';
import { signOut } from '../../services/credential';
import { forgetAll } from '../../services/kept';
import { instant } from '../../utils/time';
import { Part } from './Part';

/** Who is signed in. */
export function Account() {
  const { data: me } = useGetMeQuery();
  if (!me) return null;
  const isNobody = me.via === 'none';
  return (
    <Part title="You">
      <Group justify="space-between">
        <div>
          <Text size="sm">
            {isNobody ? 'Nobody is asked who they are: there is no key yet.' : me.subject} Role {me.role} in
            the project {me.project}.
          </Text>
          <Text size="sm" c="dimmed">
            {isNobody
              ? 'Who can reach this server can do everything. The first key closes it.'
              : me.expires_at
                ? `The credential ends on ${instant(me.expires_at)}.`
                : 'The credential has no end.'}
          </Text>
        </div>
        {!isNobody && (
          <Button
            variant="default"
            size="xs"
            onClick={() => {
              void forgetAll().then(signOut);
            }}
          >
            Sign out
          </Button>
        )}
      </Group>
    </Part>
  );
}
