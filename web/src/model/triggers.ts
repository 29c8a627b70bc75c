/** What starts runs by itself, as a form has it and as the server wants it. */
import { parse, write } from './lossless';

export type Kind = 'schedule' | 'webhook';

/** What is filled in; texts, as they are typed. */
export interface Form {
  kind: Kind;
  by: 'cron' | 'every';
  cron: string;
  zone: string;
  every: string;
  missed: 'skip' | 'last';
  overlap: 'allow' | 'skip' | 'queue_one';
  scheme: 'github' | 'standard' | 'bearer';
  condition: string;
  wait: string;
  input: string;
}

export const FRESH: Form = {
  kind: 'schedule',
  by: 'cron',
  cron: '0 8 * * 1-5',
  zone: 'UTC',
  every: '15m',
  missed: 'skip',
  overlap: 'allow',
  scheme: 'github',
  condition: '',
  wait: '',
  input: '',
};

export type Settings = Record<string, unknown>;

/** What the form knows; other settings stay as they are. */
const KNOWN = ['cron', 'zone', 'every', 'missed', 'overlap', 'scheme', 'if', 'wait', 'input'];

/** Settings as the form has them. */
export function formOf(kind: Kind, settings: unknown): Form {
  const given = (settings ?? {}) as Settings;
  const text = (name: string, usual: string) => (typeof given[name] === 'string' ? given[name] : usual);
  return {
    kind,
    by: given.every === undefined ? 'cron' : 'every',
    cron: text('cron', FRESH.cron),
    zone: text('zone', FRESH.zone),
    every: text('every', FRESH.every),
    missed: given.missed === 'last' ? 'last' : 'skip',
    overlap: given.overlap === 'skip' || given.overlap === 'queue_one' ? given.overlap : 'allow',
    scheme: given.scheme === 'standard' || given.scheme === 'bearer' ? given.scheme : 'github',
    condition: text('if', ''),
    wait: text('wait', ''),
    input: given.input === undefined || given.input === null ? '' : write(given.input, 2),
  };
}

/** The settings; what is usual is left out, and what the form does not know stays. Throws where the input is no JSON. */
export function settingsOf(form: Form, before: Settings = {}): Settings {
  const others = Object.entries(before).filter(([name]) => !KNOWN.includes(name));
  return { ...Object.fromEntries(others), ...ownOf(form) };
}

function ownOf(form: Form): Settings {
  const input = form.input.trim() === '' ? {} : { input: parse(form.input) };
  if (form.kind === 'webhook') {
    return {
      scheme: form.scheme,
      ...(form.condition.trim() === '' ? {} : { if: form.condition.trim() }),
      ...(form.wait.trim() === '' ? {} : { wait: form.wait.trim() }),
      ...input,
    };
  }
  return {
    ...(form.by === 'cron' ? { cron: form.cron.trim(), zone: form.zone } : { every: form.every.trim() }),
    ...(form.missed === 'skip' ? {} : { missed: form.missed }),
    ...(form.overlap === 'allow' ? {} : { overlap: form.overlap }),
    ...input,
  };
}

/** When it fires, or who may, in one line. */
export function saidOf(kind: string, settings: unknown): string {
  const { cron, zone, every, scheme } = (settings ?? {}) as Record<string, string | undefined>;
  if (kind === 'webhook') return SCHEMES[scheme ?? ''] ?? 'a request';
  if (every) return `every ${every}`;
  return `${cron ?? ''}, ${zone ?? 'UTC'}`;
}

export const SCHEMES: Record<string, string> = {
  github: 'signed as by GitHub',
  standard: 'signed by Standard Webhooks',
  bearer: 'with the secret as a bearer',
};

/** How a delivery is tried out, on the command line. */
export function curlOf(scheme: unknown, address: string, secret: string): string {
  const post = `curl -sf '${address}' -H 'content-type: application/json'`;
  if (scheme === 'bearer') return `${post} \\\n  -H 'authorization: Bearer ${secret}' -d '{}'`;
  if (scheme === 'standard') {
    const key = secret.replace(/^whsec_/, '');
    return [
      `id=msg_$RANDOM; at=$(date +%s); body='{}'; key=$(printf %s '${key}' | base64 -d | od -An -tx1 | tr -d ' \\n')`,
      `sign=$(printf %s "$id.$at.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)`,
      `${post} -H "webhook-id: $id" -H "webhook-timestamp: $at" -H "webhook-signature: v1,$sign" -d "$body"`,
    ].join('\n');
  }
  return [
    `body='{}'`,
    `sign=$(printf %s "$body" | openssl dgst -sha256 -hmac '${secret}' | sed 's/.* //')`,
    `${post} -H "x-hub-signature-256: sha256=$sign" -d "$body"`,
  ].join('\n');
}
