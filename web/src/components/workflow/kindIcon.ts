import {
  IconArrowsSplit2,
  IconClock,
  IconHelpSquareRounded,
  IconListDetails,
  IconRefresh,
  IconRobot,
  IconTransform,
  IconUserCheck,
  IconWorldShare,
  IconBroadcast,
  type Icon,
} from '@tabler/icons-react';

const ICONS: Record<string, Icon> = {
  agent: IconRobot,
  http: IconWorldShare,
  transform: IconTransform,
  condition: IconArrowsSplit2,
  for_each: IconListDetails,
  loop: IconRefresh,
  approval: IconUserCheck,
  wait: IconClock,
  signal: IconBroadcast,
};

export const iconOf = (type: string): Icon => ICONS[type] ?? IconHelpSquareRounded;
