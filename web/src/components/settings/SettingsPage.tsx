import { PageHead } from '../common/PageHead';
import { useMay } from '../../utils/may';
import { About } from './About';
import { Account } from './Account';
import { Appearance } from './Appearance';
import { Keys } from './Keys';

/** Who one is, how it looks, which keys there are, and what the server is. */
export function SettingsPage() {
  const may = useMay();
  return (
    <>
      <PageHead title="Settings" />
      <div className="page page-narrow">
        <Account />
        <Appearance />
        {may('administer') && <Keys />}
        <About />
      </div>
    </>
  );
}
