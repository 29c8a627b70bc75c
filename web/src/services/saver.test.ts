import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Saver, type Answer } from './saver';

/** A server that holds one number, and what is edited here. */
function world(answers: Answer[] = []) {
  const all = { edited: 0, saved: 0, sent: [] as string[] };
  const saver = new Saver(
    {
      isDirty: () => all.edited !== all.saved,
      send: async (etag) => {
        const now = all.edited;
        all.sent.push(`${now} on ${etag}`);
        await new Promise((done) => setTimeout(done, 100));
        const answer = answers.shift() ?? { etag: `d${now}` };
        if ('etag' in answer) all.saved = now;
        return answer;
      },
    },
    'v1',
    0,
  );
  const edit = (to: number) => {
    all.edited = to;
    saver.edited();
  };
  return { all, saver, edit };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const later = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('saving', () => {
  it('waits for a pause and sends once, on what the edits were made on', async () => {
    const { all, saver, edit } = world();
    edit(1);
    await later(900);
    edit(2);
    expect(saver.state().phase).toBe('edited');
    await later(1050);
    expect(saver.state().phase).toBe('saving');
    await later(100);
    expect(all.sent).toEqual(['2 on v1']);
    expect(saver.state()).toMatchObject({ phase: 'saved', etag: 'd2', why: null });
    edit(3);
    await later(1200);
    expect(all.sent.at(-1)).toBe('3 on d2');
  });

  it('sends nothing for an edit that was taken back', async () => {
    const { all, saver, edit } = world();
    edit(1);
    edit(0);
    await later(5000);
    expect(all.sent).toEqual([]);
    expect(saver.state().phase).toBe('saved');
  });

  it('sends what was edited meanwhile, and one request at a time', async () => {
    const { all, saver, edit } = world();
    edit(1);
    const first = saver.save();
    const second = saver.save();
    await later(50);
    edit(2);
    await later(60);
    await later(200);
    expect(await first).toBe(true);
    expect(await second).toBe(true);
    expect(all.sent).toEqual(['1 on v1', '2 on d1']);
  });

  it('stops where somebody else has saved, until a person has decided', async () => {
    const { all, saver, edit } = world([{ why: 'changed', isConflict: true, passes: false }]);
    edit(1);
    await later(1200);
    expect(saver.state()).toMatchObject({ phase: 'conflict', why: 'changed', etag: 'v1' });
    edit(2);
    await later(60_000);
    expect(await saver.save()).toBe(false);
    expect(all.sent).toHaveLength(1);
    saver.stands('d9');
    await later(1200);
    expect(all.sent.at(-1)).toBe('2 on d9');
    expect(saver.state().phase).toBe('saved');
  });

  it('tries again later and later what may pass, and at once when it is asked for', async () => {
    const away: Answer = { why: 'away', isConflict: false, passes: true };
    const { all, saver, edit } = world([away, away, away]);
    edit(1);
    await later(1100);
    expect(saver.state()).toMatchObject({ phase: 'failed', why: 'away' });
    await later(5100);
    expect(all.sent).toHaveLength(2);
    await later(5100);
    expect(all.sent).toHaveLength(2);
    await later(5000);
    expect(all.sent).toHaveLength(3);
    const asked = saver.save();
    await later(100);
    expect(await asked).toBe(true);
    expect(saver.state().phase).toBe('saved');
  });

  it('does not send again by itself what is refused, but with the next edit', async () => {
    const { all, saver, edit } = world([{ why: 'too large', isConflict: false, passes: false }]);
    edit(1);
    await later(120_000);
    expect(all.sent).toHaveLength(1);
    expect(saver.state().phase).toBe('failed');
    edit(2);
    await later(1200);
    expect(saver.state()).toMatchObject({ phase: 'saved', why: null });
  });

  it('sends nothing of what is open by the time that an answer comes', async () => {
    const { all, saver, edit } = world([{ why: 'away', isConflict: false, passes: true }]);
    edit(1);
    await later(1050);
    saver.end();
    // Another workflow is open now, and edited.
    all.edited = 2;
    await later(120_000);
    expect(all.sent).toEqual(['1 on v1']);
    expect(await saver.save()).toBe(false);
    saver.begin();
    const asked = saver.save();
    await later(200);
    expect(await asked).toBe(true);
  });
});
