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

/** The sign of a kind of node. */
export function KindIcon({ type, size }: { type: string; size: number }) {
  const Sign = ICONS[type] ?? IconHelpSquareRounded;
  return <Sign size={size} stroke={1.7} aria-hidden />;
}
