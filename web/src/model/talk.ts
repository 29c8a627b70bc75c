/** A talk with one agent: each question is a run of its own, to which what was said before goes along. */

export interface Turn {
  asked: string;
  /** Null while it is awaited. */
  answer: string | null;
  /** The run that it was; null before it is known. */
  run: string | null;
  tokens: number;
  error: string | null;
}

export const NODE = 'answer';

/** What is run: one question to one agent. */
export const asking = (agent: string) => ({
  name: `A talk with ${agent}`,
  nodes: [{ id: NODE, type: 'agent', config: { agent, prompt: '{{ input.prompt }}' } }],
  edges: [],
});

/** The question with what was said before it. */
export function promptOf(before: readonly Turn[], question: string): string {
  const told = before.flatMap(({ asked, answer }) =>
    answer === null || answer === '' ? [] : [`Question: ${asked}\nAnswer: ${answer}`],
  );
  if (told.length === 0) return question;
  return `This was said before:\n\n${told.join('\n\n')}\n\nThe question now:\n\n${question}`;
}
