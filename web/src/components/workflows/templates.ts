/** Workflows to begin with: the examples of the program, which its tests run. */
import type { Definition } from '../../model/document';

export interface Template {
  name: string;
  title: string;
  about: string;
  /** As it is written. */
  text: () => Promise<string>;
  document: () => Promise<Definition>;
}

const TEXTS = import.meta.glob<string>(
  [
    '@examples/research-crew.yaml',
    '@examples/approval.yaml',
    '@examples/for_each.yaml',
    '@examples/loop.yaml',
    '@examples/condition.yaml',
    '@examples/guarded-approval.yaml',
  ],
  { query: '?raw', import: 'default' },
);

const template = (name: string, title: string, about: string): Template => {
  const [, load] = Object.entries(TEXTS).find(([path]) => path.endsWith(`/${name}.yaml`)) ?? [];
  const text = () => load?.() ?? Promise.resolve('name: empty');
  return {
    name,
    title,
    about,
    text,
    document: async () => {
      const { parse } = await import('yaml');
      return parse(await text(), { intAsBigInt: false }) as Definition;
    },
  };
};

export const TEMPLATES: Template[] = [
  template(
    'research-crew',
    'Research crew',
    'Four agents, one after the other: research, analysis, proposal, review',
  ),
  template(
    'approval',
    'Ask a person',
    'An agent drafts, a person decides, and the run goes on by the answer',
  ),
  template('for_each', 'Each of a list', 'The same steps for each item, four at a time'),
  template('loop', 'Until it is good', 'Drafts and reviews again until a condition holds'),
  template('condition', 'Two ways', 'Goes on by what the data says'),
  template(
    'guarded-approval',
    'Approve what is sent',
    'A person approves exactly the call that is made then',
  ),
];
