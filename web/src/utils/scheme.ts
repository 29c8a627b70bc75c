import { useComputedColorScheme } from '@mantine/core';

/** The scheme that is shown, also where it follows the system. */
export const useScheme = (): 'light' | 'dark' =>
  useComputedColorScheme('light', { getInitialValueInEffect: false });
