import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asking, promptOf, type Turn } from './talk';
import { byTokens, daysOf, roundUp, short, spanOf, tokensOf } from './usage';

const sum = (calls: number, prompt_tokens = 0, completion_tokens = 0) => ({
  calls,
  prompt_tokens,
  completion_tokens,
});

describe('what was used', () => {
  it('has a day for each day of its span, also over the end of a month', () => {
    const span = spanOf(3, Date.parse('2027-03-01T23:30:00Z'));
    expect(span).toEqual({ from: '2027-02-27', to: '2027-03-01' });
    const days = daysOf([{ day: '2027-02-28', ...sum(2, 5, 7) }], span.from, span.to);
    expect(days.map(({ day, calls }) => [day, calls])).toEqual([
      ['2027-02-27', 0],
      ['2027-02-28', 2],
      ['2027-03-01', 0],
    ]);
    expect(days.map(tokensOf)).toEqual([0, 12, 0]);
  });

  it('is ordered by tokens, and by calls where those are equal', () => {
    const lines = [sum(1), sum(5), sum(1, 1, 2)];
    expect(byTokens(lines)).toEqual([lines[2], lines[1], lines[0]]);
  });

  it('is drawn under a round number that is not far off', () => {
    expect([0, 1, 3, 7, 12, 480, 5001].map(roundUp)).toEqual([1, 1, 5, 10, 20, 500, 10_000]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 9 }), (most) => {
        const round = roundUp(most);
        expect(round).toBeGreaterThanOrEqual(most);
        expect(round).toBeLessThanOrEqual(most * 2.5);
      }),
    );
  });

  it('is said shortly', () => {
    expect([0, 950, 1000, 12_345, 999_949, 999_951, 4_100_000].map(short)).toEqual([
      '0',
      '950',
      '1k',
      '12.3k',
      '999.9k',
      '1M',
      '4.1M',
    ]);
  });
});

describe('a talk', () => {
  const turn = (asked: string, answer: string | null): Turn => ({
    asked,
    answer,
    run: null,
    tokens: 0,
    error: null,
  });

  it('asks one agent, with what was said before', () => {
    expect(asking('research').nodes[0]?.config.agent).toBe('research');
    expect(promptOf([], 'Why?')).toBe('Why?');
    const prompt = promptOf([turn('What?', 'This.'), turn('Lost?', null)], 'Why?');
    expect(prompt).toBe(
      'This was said before:\n\nQuestion: What?\nAnswer: This.\n\nThe question now:\n\nWhy?',
    );
  });
});
