/** Sends requests: with the key, few at a time, and again where the server says when. */
import type { BaseQueryFn, FetchArgs } from '@reduxjs/toolkit/query';
import { parse, write } from '../model/lossless';
import { getKey } from './credential';

/** A refusal as the API writes it, or what went wrong on the way. */
export interface Failure {
  status: number;
  code: string;
  title: string;
  detail?: string;
  problems?: { node: string | null; path: string; code: string; message: string }[];
  /** Of a change that was made on what is not there any more: what there is now. */
  current?: unknown;
}

/** Requests under way at once. The gateway's usual rate is five a second. */
const AT_ONCE = 4;
/** How often a read is sent again, and how long at most is waited for that. */
const TIMES = 3;
const LONGEST_S = 10;

let under = 0;
const queue: (() => void)[] = [];

async function turn(): Promise<void> {
  if (under < AT_ONCE) {
    under += 1;
    return;
  }
  await new Promise<void>((resolve) => queue.push(resolve));
}

function next(): void {
  const waiting = queue.shift();
  if (waiting) waiting();
  else under -= 1;
}

export const origin = (): string => (location.origin === 'null' ? 'http://localhost' : location.origin);

export function headers(more?: HeadersInit): Headers {
  const all = new Headers(more);
  const key = getKey();
  if (key) all.set('authorization', `Bearer ${key}`);
  return all;
}

type Param = string | number | boolean | null | undefined;

function addressed(args: FetchArgs): string {
  const url = new URL(args.url, origin());
  for (const [name, value] of Object.entries((args.params ?? {}) as Record<string, Param | Param[]>)) {
    // A list is given as often as it has items.
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') url.searchParams.append(name, String(one));
    }
  }
  return url.toString();
}

function request(args: FetchArgs): RequestInit {
  const all = headers();
  for (const [name, value] of Object.entries((args.headers ?? {}) as Record<string, string | undefined>)) {
    if (value !== undefined) all.set(name, value);
  }
  if (args.body === undefined) return { method: args.method ?? 'GET', headers: all };
  if (!all.has('content-type')) all.set('content-type', 'application/json');
  const body: unknown = args.body;
  return { method: args.method ?? 'GET', headers: all, body: typeof body === 'string' ? body : write(body) };
}

const wait = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** When to come back, in seconds; null if that would not help or take too long. */
function again(response: Response, isRead: boolean): number | null {
  const isBusy = response.status === 429 || (response.status === 503 && isRead);
  const seconds = Number(response.headers.get('retry-after') ?? '1');
  return isBusy && seconds <= LONGEST_S ? seconds : null;
}

export async function failure(response: Response): Promise<Failure> {
  const text = await response.text();
  const fallback = { status: response.status, code: 'unknown', title: response.statusText };
  try {
    return { ...fallback, ...(JSON.parse(text) as Partial<Failure>) };
  } catch {
    return fallback;
  }
}

const OFFLINE: Failure = {
  status: 0,
  code: 'offline',
  title: 'The server can’t be reached',
  detail: 'It is stopped, or the network is away. What you edit is kept in this browser.',
};

export const send: BaseQueryFn<
  string | FetchArgs,
  unknown,
  Failure,
  object,
  { etag: string | null }
> = async (what, api) => {
  const args: FetchArgs = typeof what === 'string' ? { url: what } : what;
  const isRead = (args.method ?? 'GET') === 'GET';
  await turn();
  try {
    for (let time = 1; ; time += 1) {
      const response = await fetch(addressed(args), { ...request(args), signal: api.signal });
      const seconds = time < TIMES ? again(response, isRead) : null;
      if (seconds !== null) {
        await wait(seconds);
        continue;
      }
      if (!response.ok) return { error: await failure(response) };
      const text = await response.text();
      const meta = { etag: response.headers.get('etag') };
      if (args.responseHandler === 'text') return { data: text, meta };
      return { data: text === '' ? null : parse(text), meta };
    }
  } catch {
    return { error: OFFLINE };
  } finally {
    next();
  }
};
