/** Names to offer where an expression is written. The server decides what a name means: these only save typing. */
import { bodyOf, find, labelOf, upstream, type DefNode, type Definition } from './document';

export interface Name {
  path: string;
  about: string;
}

const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;

export const stepPath = (id: string): string => (PLAIN.test(id) ? `steps.${id}` : `steps["${id}"]`);

/** What the workflow's input and the steps before a node are called. */
export function namesFor(document: Definition, id: string | null): Name[] {
  const names: Name[] = [...inputNames(document.input)];
  let found = id === null ? undefined : find(document, id);
  while (found) {
    for (const before of upstream(found.graph, found.node.id)) {
      const node = found.graph.nodes?.find((one) => one.id === before);
      if (node) names.push({ path: `${stepPath(before)}.output`, about: `output of ${labelOf(node)}` });
    }
    const holder: DefNode | undefined =
      found.container === null ? undefined : find(document, found.container)?.node;
    if (holder && bodyOf(holder)) names.push(...loopNames(holder));
    found = holder && find(document, holder.id);
  }
  if (id === null) {
    for (const node of document.nodes ?? []) {
      names.push({ path: `${stepPath(node.id)}.output`, about: `output of ${labelOf(node)}` });
    }
  }
  names.push({ path: 'run.id', about: 'the run’s id' }, { path: 'now', about: 'the time of the decision' });
  return names.filter((name, at) => names.findIndex((other) => other.path === name.path) === at);
}

function inputNames(schema: unknown): Name[] {
  const own: Name = { path: 'input', about: 'the run’s input' };
  const properties = (schema as { properties?: Record<string, unknown> } | null | undefined)?.properties;
  const fields = Object.entries(properties ?? {}).map(([name, field]) => ({
    path: PLAIN.test(name) ? `input.${name}` : `input["${name}"]`,
    about: (field as { description?: string } | null)?.description ?? 'of the input',
  }));
  return [...fields, own];
}

function loopNames(holder: DefNode): Name[] {
  const index = { path: 'index', about: 'which round it is, from 0' };
  return holder.type === 'for_each'
    ? [{ path: 'item', about: 'the item of this round' }, index]
    : [{ path: 'last', about: 'what the round before gave' }, index];
}
