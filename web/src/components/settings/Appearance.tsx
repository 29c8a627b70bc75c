import { SegmentedControl, useMantineColorScheme } from '@mantine/core';
import { Part } from './Part';

export function Appearance() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Part title="Appearance">
      <SegmentedControl
        aria-label="Theme"
        data={[
          { value: 'auto', label: 'As the system' },
          { value: 'light', label: 'Light' },
          { value: 'dark', label: 'Dark' },
        ]}
        value={colorScheme}
        onChange={(value) => setColorScheme(value)}
      />
    </Part>
  );
}
