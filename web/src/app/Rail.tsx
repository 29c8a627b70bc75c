import { Tooltip, useMantineColorScheme } from '@mantine/core';
import {
  IconChartBar,
  IconChecklist,
  IconClockPlay,
  IconMoon,
  IconPlayerPlay,
  IconRobot,
  IconSettings,
  IconSitemap,
  IconSun,
  type Icon,
} from '@tabler/icons-react';
import { NavLink } from 'react-router';
import { useListApprovalsQuery } from '../services/api';
import { useScheme } from '../utils/scheme';

interface Entry {
  to: string;
  label: string;
  icon: Icon;
  count?: number;
}

/** How often the number of questions is looked up, in milliseconds. */
const LOOK_MS = 15_000;

/** The way to every page. */
export function Rail() {
  const questions = useListApprovalsQuery(
    { limit: 1 },
    { pollingInterval: LOOK_MS, skipPollingIfUnfocused: true },
  );
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useScheme() === 'dark';
  const entries: Entry[] = [
    { to: '/', label: 'Workflows', icon: IconSitemap },
    { to: '/runs', label: 'Runs', icon: IconPlayerPlay },
    { to: '/approvals', label: 'Approvals', icon: IconChecklist, count: questions.data?.total },
    { to: '/agents', label: 'Agents', icon: IconRobot },
    { to: '/triggers', label: 'Triggers', icon: IconClockPlay },
    { to: '/usage', label: 'Usage', icon: IconChartBar },
    { to: '/settings', label: 'Settings', icon: IconSettings },
  ];
  const other = isDark ? 'Light theme' : 'Dark theme';
  return (
    <nav className="rail" aria-label="Pages">
      <img className="rail-mark" src="/icon.svg" alt="" width={28} height={28} />
      {entries.map(({ to, label, icon: Sign, count }) => (
        <NavLink key={to} to={to} end={to === '/'} className="rail-link">
          <Sign size={20} stroke={1.6} aria-hidden />
          <span>{label}</span>
          {count ? (
            <span className="rail-count" aria-label={`${count} waiting`}>
              {count}
            </span>
          ) : null}
        </NavLink>
      ))}
      <Tooltip label={other} position="right">
        <button
          type="button"
          className="rail-link rail-theme"
          aria-label={other}
          onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
        >
          {isDark ? <IconSun size={20} stroke={1.6} /> : <IconMoon size={20} stroke={1.6} />}
        </button>
      </Tooltip>
    </nav>
  );
}
