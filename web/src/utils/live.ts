import { useSyncExternalStore } from 'react';
import { live } from '../services/websocket';

/** How often a list is looked at again where the socket tells what changes in it: not all is told. */
const SELDOM_MS = 15_000;

/** How often a list is looked at again, in milliseconds. */
export const useLook = (ms: number): number =>
  useSyncExternalStore(live.onStanding, live.isUp) ? Math.max(ms, SELDOM_MS) : ms;
