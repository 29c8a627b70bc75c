import { Alert, Button, Code, Group, Select, Table, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { sentenceOf, useCreateKeyMutation, useListKeysQuery, useRevokeKeyMutation } from '../../services/api';
import type { Role } from '../../services/schema';
import { ago } from '../../utils/time';
import { Failed } from '../common/Failed';
import { Sure } from '../common/Sure';
import { Part } from './Part';

const ROLES: Role[] = ['viewer', 'operator', 'editor', 'admin'];

/** The keys of the project. A secret is shown once, when its key is made. */
export function Keys() {
  const keys = useListKeysQuery({ limit: 200 });
  const [create, made] = useCreateKeyMutation();
  const [revoke] = useRevokeKeyMutation();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('operator');
  const [ends, setEnds] = useState<string | null>(null);
  return (
    <Part title="Keys">
      {keys.error && (
        <Failed what="The keys can’t be had" error={keys.error} again={() => void keys.refetch()} />
      )}
      {(keys.data?.items.length ?? 0) > 0 && (
        <Table fz="sm">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Name</Table.Th>
              <Table.Th>Id</Table.Th>
              <Table.Th>Role</Table.Th>
              <Table.Th>Status</Table.Th>
              <Table.Th>Last used</Table.Th>
              <Table.Th />
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {keys.data?.items.map((key) => (
              <Table.Tr key={key.id}>
                <Table.Td>{key.name}</Table.Td>
                <Table.Td className="id">{key.id}</Table.Td>
                <Table.Td>{key.role}</Table.Td>
                <Table.Td>{key.status}</Table.Td>
                <Table.Td>{key.last_used_at ? ago(key.last_used_at) : 'never'}</Table.Td>
                <Table.Td>
                  {key.status === 'active' && (
                    <Button size="compact-xs" variant="default" onClick={() => setEnds(key.id)}>
                      Revoke
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Group align="end" mt="sm" gap="xs">
        <TextInput
          size="xs"
          label="Name of a new key"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Select
          size="xs"
          label="Role"
          data={ROLES}
          allowDeselect={false}
          value={role}
          onChange={(value) => setRole(value ?? 'operator')}
        />
        <Button size="xs" loading={made.isLoading} onClick={() => void create({ newKey: { name, role } })}>
          Make it
        </Button>
      </Group>
      {made.data && (
        <Alert mt="sm" color="indigo" variant="outline" title="Its secret, shown this once">
          <Code>{made.data.secret}</Code>
          <Text size="sm" mt={4}>
            Keep it now. The first key closes the server to everybody without one: sign in with it then.
          </Text>
        </Alert>
      )}
      {made.error && (
        <Alert mt="sm" color="red" variant="outline">
          {sentenceOf(made.error)}
        </Alert>
      )}
      <Sure
        opened={ends !== null}
        title="Revoke this key?"
        text="It ends everywhere within seconds, and can’t be given back."
        action="Revoke it"
        onClose={() => setEnds(null)}
        onSure={() => {
          if (ends) void revoke({ id: ends });
        }}
      />
    </Part>
  );
}
