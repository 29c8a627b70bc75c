import { Code, Select, Stack, Text } from '@mantine/core';
import type { DefNode } from '../../model/document';
import { KINDS, kindOf } from '../../model/kinds';
import { stepPath } from '../../model/scope';
import { useListNodeKindsQuery } from '../../services/api';
import { setType } from '../../services/state';
import { useAct } from '../../services/store';
import { RenameNode } from './RenameNode';

/** What a node is, and what it is called where others read it. */
export function NodeAbout({ node, readOnly }: { node: DefNode; readOnly: boolean }) {
  const act = useAct();
  const { data } = useListNodeKindsQuery({});
  const kind = data?.items.find((one) => one.name === node.type);
  return (
    <Stack gap="md">
      <Text size="sm">{kind?.description ?? kindOf(node.type).about}</Text>
      <div>
        <Text size="sm" fw={600}>
          Its output, elsewhere
        </Text>
        <Code>{`{{ ${stepPath(node.id)}.output }}`}</Code>
      </div>
      {readOnly ? (
        <Text size="sm">
          Id <Code>{node.id}</Code>
        </Text>
      ) : (
        <RenameNode id={node.id} />
      )}
      {!readOnly && (
        <Select
          label="Kind"
          description="Another kind begins with an empty configuration"
          data={KINDS.map(({ name, label }) => ({ value: name, label }))}
          value={node.type}
          allowDeselect={false}
          onChange={(type) => {
            if (type) act(setType({ id: node.id, type }));
          }}
        />
      )}
    </Stack>
  );
}
