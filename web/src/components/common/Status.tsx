import {
  IconAlertTriangle,
  IconBan,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconClockPause,
  IconHelpCircle,
  IconHourglass,
  IconLoader2,
  IconPencil,
  IconPlayerTrackNext,
  type Icon,
} from '@tabler/icons-react';

const SIGNS: Record<string, [Icon, string]> = {
  pending: [IconCircleDashed, 'pending'],
  running: [IconLoader2, 'running'],
  waiting: [IconHourglass, 'waiting'],
  paused: [IconClockPause, 'paused'],
  completed: [IconCircleCheck, 'completed'],
  failed: [IconCircleX, 'failed'],
  skipped: [IconPlayerTrackNext, 'skipped'],
  cancelled: [IconBan, 'cancelled'],
  unknown: [IconHelpCircle, 'unknown'],
  draft: [IconPencil, 'never run'],
  problems: [IconAlertTriangle, 'has problems'],
};

/** A status: sign, colour and word, so that none of them has to be seen alone. */
export function Status({ of, short }: { of: string; short?: boolean }) {
  const [Sign, word] = SIGNS[of] ?? [IconHelpCircle, of];
  return (
    <span className="status" data-status={of}>
      <Sign size={16} stroke={1.8} aria-hidden className={of === 'running' ? 'turns' : undefined} />
      <span className={short ? 'visually-hidden' : undefined}>{word}</span>
    </span>
  );
}
