import { Loader } from '@mantine/core';
import { Outlet, useNavigation } from 'react-router';
import { Gate } from './Gate';
import { Commands } from './Commands';
import { Feeds } from './Feeds';
import { Rail } from './Rail';

/** The rail and the page beside it; who has to sign in first sees neither. */
export function Shell() {
  const isLoading = useNavigation().state === 'loading';
  return (
    <Gate>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <div className="shell">
        <Rail />
        <Commands />
        <Feeds />
        <main id="main" className="main" tabIndex={-1}>
          <Outlet />
        </main>
        {isLoading && <Loader className="shell-loading" size="xs" aria-label="The page is loading" />}
      </div>
    </Gate>
  );
}
