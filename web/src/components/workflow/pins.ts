import { useEffect, useState } from 'react';
import { parse } from '../../model/lossless';
import { keepPins, keptKey, keptPins } from '../../services/kept';
import type { Me } from '../../services/schema';
import { pinsFound } from '../../services/state';
import { useAct, useSeen } from '../../services/store';

/** Pins of a workflow stay in this browser, by project and subject, until they are taken away. */
export function usePins(id: string, me: Me, is: boolean): void {
  const act = useAct();
  const pins = useSeen((state) => state.workflow.pins);
  const [isLooked, setLooked] = useState(false);
  const key = keptKey(me.project, me.subject, id);
  useEffect(() => {
    if (!is) return;
    void keptPins(key, parse).then((found) => {
      act(pinsFound(found));
      setLooked(true);
    });
  }, [act, is, key]);
  useEffect(() => {
    if (isLooked) void keepPins(key, pins);
  }, [isLooked, key, pins]);
}
