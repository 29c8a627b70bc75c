import { useMediaQuery } from '@mantine/hooks';

/** Whether there is too little room for a drawing with what stands beside it: that becomes drawers over it. */
export const useNarrow = (): boolean =>
  useMediaQuery('(max-width: 1023px)', false, { getInitialValueInEffect: false });
