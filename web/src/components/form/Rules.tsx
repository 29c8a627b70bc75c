import { ActionIcon, Button, Group, Paper, Select, Stack, TextInput } from '@mantine/core';
import { IconTrash } from '@tabler/icons-react';
import { ExpressionField } from './ExpressionField';
import { JsonText } from './JsonText';

type Rule = Record<string, unknown>;

interface Props {
  value: Rule[] | undefined;
  node: string | null;
  disabled: boolean;
  onChange: (value: unknown) => void;
}

const FRESH: Record<string, Rule> = {
  map: { value: 'item' },
  filter: { if: '' },
  reduce: { initial: 0, value: 'acc' },
};
const ABOUT = [
  { value: 'map', label: 'map: make something of each item' },
  { value: 'filter', label: 'filter: keep items' },
  { value: 'reduce', label: 'reduce: make one value of all' },
];

/** The rules of a transform, in the order in which they run. */
export function Rules({ value, node, disabled, onChange }: Props) {
  const rules = value ?? [];
  const set = (at: number, fields: Rule) =>
    onChange(rules.map((rule, index) => (index === at ? { ...rule, ...fields } : rule)));
  return (
    <Stack gap="xs">
      {rules.map((rule, index) => {
        const type = typeof rule.type === 'string' ? rule.type : 'map';
        const config = (rule.config ?? {}) as Rule;
        const field = type === 'filter' ? 'if' : 'value';
        const text = config[field];
        return (
          <Paper key={index} withBorder p="xs" role="group" aria-label={`Rule ${index + 1}`}>
            <Stack gap={6}>
              <Group gap={4} wrap="nowrap">
                <Select
                  aria-label={`What rule ${index + 1} does`}
                  flex={1}
                  data={ABOUT}
                  allowDeselect={false}
                  disabled={disabled}
                  value={type}
                  onChange={(next) => set(index, { type: next ?? 'map', config: FRESH[next ?? 'map'] })}
                />
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  aria-label={`Take rule ${index + 1} out`}
                  disabled={disabled}
                  onClick={() => onChange(rules.filter((_, at) => at !== index))}
                >
                  <IconTrash size={16} />
                </ActionIcon>
              </Group>
              <Group gap={4} grow>
                <TextInput
                  label="Reads"
                  placeholder="."
                  disabled={disabled}
                  value={typeof rule.source === 'string' ? rule.source : ''}
                  onChange={(event) => set(index, { source: event.currentTarget.value })}
                />
                <TextInput
                  label="Writes"
                  disabled={disabled}
                  value={typeof rule.target === 'string' ? rule.target : ''}
                  onChange={(event) => set(index, { target: event.currentTarget.value })}
                />
              </Group>
              {type === 'reduce' && (
                <JsonText
                  label="Begins with"
                  disabled={disabled}
                  value={config.initial}
                  onSettle={(initial) => set(index, { config: { ...config, initial: initial ?? null } })}
                />
              )}
              <ExpressionField
                id={`rule-${index}`}
                label={`Expression of rule ${index + 1}`}
                as="expression"
                names={['item', 'index', 'data', ...(type === 'reduce' ? ['acc'] : [])]}
                node={node}
                value={typeof text === 'string' ? text : ''}
                disabled={disabled}
                onChange={(next) => set(index, { config: { ...config, [field]: next } })}
              />
            </Stack>
          </Paper>
        );
      })}
      <Button
        size="compact-sm"
        variant="default"
        w="fit-content"
        disabled={disabled}
        onClick={() => onChange([...rules, { type: 'map', source: '.', target: '', config: FRESH.map }])}
      >
        Add a rule
      </Button>
    </Stack>
  );
}
