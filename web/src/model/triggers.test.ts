import { describe, expect, it } from 'vitest';
import { curlOf, FRESH, formOf, saidOf, settingsOf } from './triggers';

describe('a trigger', () => {
  it('has the settings of its kind, without what is usual', () => {
    expect(settingsOf({ ...FRESH, cron: ' 0 3 * * * ', zone: 'Europe/Berlin' })).toEqual({
      cron: '0 3 * * *',
      zone: 'Europe/Berlin',
    });
    expect(
      settingsOf({
        ...FRESH,
        by: 'every',
        missed: 'last',
        overlap: 'skip',
        input: '{"day": "{{ scheduled_at }}"}',
      }),
    ).toEqual({ every: '15m', missed: 'last', overlap: 'skip', input: { day: '{{ scheduled_at }}' } });
    expect(settingsOf({ ...FRESH, kind: 'webhook' })).toEqual({ scheme: 'github' });
    expect(settingsOf({ ...FRESH, kind: 'webhook', condition: ' body.ok ', wait: '10s' })).toEqual({
      scheme: 'github',
      if: 'body.ok',
      wait: '10s',
    });
    expect(() => settingsOf({ ...FRESH, input: '{' })).toThrow(SyntaxError);
  });

  it('is changed without losing what the form does not know', () => {
    const schedule = { every: '5m', missed: 'last', overlap: 'queue_one', input: { n: 1 }, version: 3 };
    const hook = { scheme: 'bearer', if: 'body.ok', wait: '5s', secret: 'secret://HOOK', rate: 10 };
    const cron = { cron: '0 3 * * *', zone: 'Europe/Berlin', overlap: 'skip' };
    for (const [kind, settings] of [
      ['schedule', schedule],
      ['schedule', cron],
      ['webhook', hook],
      ['webhook', { scheme: 'standard' }],
    ] as const) {
      expect(settingsOf(formOf(kind, settings), settings)).toEqual(settings);
    }
    expect(settingsOf({ ...formOf('schedule', schedule), by: 'cron' }, schedule)).not.toHaveProperty('every');
    expect(formOf('schedule', null)).toEqual(FRESH);
  });

  it('is said in one line', () => {
    expect(saidOf('schedule', { cron: '0 3 * * *' })).toBe('0 3 * * *, UTC');
    expect(saidOf('schedule', { cron: '0 3 * * *', zone: 'Europe/Berlin' })).toBe('0 3 * * *, Europe/Berlin');
    expect(saidOf('schedule', { every: '15m' })).toBe('every 15m');
    expect(saidOf('schedule', null)).toBe(', UTC');
    expect(saidOf('webhook', { scheme: 'github' })).toBe('signed as by GitHub');
    expect(saidOf('webhook', {})).toBe('a request');
  });

  it('is tried out as its scheme wants it', () => {
    expect(curlOf('bearer', 'http://x/hooks/a', 's3')).toContain("-H 'authorization: Bearer s3'");
    expect(curlOf('github', 'http://x/hooks/a', 's3')).toContain("-hmac 's3'");
    expect(curlOf('standard', 'http://x/hooks/a', 'whsec_abc')).toContain("printf %s 'abc' | base64 -d");
  });
});
