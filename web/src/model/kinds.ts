/** What the page knows of kinds of nodes before the server has said anything: family, sentence, a fresh configuration. */
import { bodyOf, nodesOf, type Config, type DefNode } from './document';

export type Family = 'agent' | 'data' | 'flow' | 'time' | 'people' | 'outside';

export interface Kind {
  name: string;
  label: string;
  family: Family;
  /** One line for the palette. */
  about: string;
  /** Whether it is open until time or people end it. */
  waits: boolean;
  fresh: () => Config;
}

export const KINDS: Kind[] = [
  {
    name: 'agent',
    label: 'Agent',
    family: 'agent',
    about: 'Asks an agent and goes on with its answer',
    waits: false,
    fresh: () => ({ agent: '', prompt: '' }),
  },
  {
    name: 'http',
    label: 'HTTP call',
    family: 'outside',
    about: 'Calls a server and goes on with its answer',
    waits: false,
    fresh: () => ({ url: '' }),
  },
  {
    name: 'transform',
    label: 'Transform',
    family: 'data',
    about: 'Maps, filters and reduces data',
    waits: false,
    fresh: () => ({ rules: [] }),
  },
  {
    name: 'condition',
    label: 'Condition',
    family: 'flow',
    about: 'Goes on by “true” or by “false”',
    waits: false,
    fresh: () => ({ if: '' }),
  },
  {
    name: 'for_each',
    label: 'For each',
    family: 'flow',
    about: 'Runs its body for each item of a list',
    waits: false,
    fresh: () => ({ items: '', body: { nodes: [] } }),
  },
  {
    name: 'loop',
    label: 'Loop',
    family: 'flow',
    about: 'Runs its body until a condition holds',
    waits: false,
    fresh: () => ({ until: '', max: 10, body: { nodes: [] } }),
  },
  {
    name: 'approval',
    label: 'Approval',
    family: 'people',
    about: 'Asks a person and goes on by the answer',
    waits: true,
    fresh: () => ({ title: '' }),
  },
  {
    name: 'wait',
    label: 'Wait',
    family: 'time',
    about: 'Waits for a span of time or until an instant',
    waits: true,
    fresh: () => ({ for: '10s' }),
  },
  {
    name: 'signal',
    label: 'Signal',
    family: 'time',
    about: 'Waits for a signal from outside',
    waits: true,
    fresh: () => ({ name: '' }),
  },
];

const UNKNOWN: Kind = {
  name: '',
  label: 'Unknown kind',
  family: 'outside',
  about: 'This version of the page does not know the kind',
  waits: false,
  fresh: () => ({}),
};

export const kindOf = (type: string): Kind => KINDS.find((kind) => kind.name === type) ?? UNKNOWN;

/** Whether a node is open until time, people or a program of somebody else's end it. */
export const waits = (node: DefNode): boolean =>
  kindOf(node.type).waits || (node.type === 'agent' && node.config?.worker === 'external');

/** The ways out of a node; `''` is the plain one. */
export function outputsOf(node: DefNode): string[] {
  const named: Record<string, string[]> = {
    condition: ['true', 'false'],
    approval: ['approved', 'rejected'],
  };
  const outputs = named[node.type] ?? [''];
  return node.on_error === 'branch' ? [...outputs, 'error'] : outputs;
}

const text = (value: unknown): string => (typeof value === 'string' ? value.trim() : '');

/** What a node does, in one line. */
export function sentence(node: DefNode): string {
  const config = node.config ?? {};
  switch (node.type) {
    case 'agent':
      return text(config.agent) || 'no agent yet';
    case 'http':
      return `${text(config.method) || 'GET'} ${text(config.url) || 'no address yet'}`;
    case 'condition':
      return text(config.if) || 'no condition yet';
    case 'for_each':
      return `each of ${text(config.items) || '…'}`;
    case 'loop':
      return `until ${text(config.until) || '…'}`;
    case 'approval':
      return text(config.title) || 'no question yet';
    case 'wait':
      return config.until === undefined ? `for ${text(config.for) || '…'}` : `until ${text(config.until)}`;
    case 'signal':
      return text(config.name) || 'no name yet';
    case 'transform': {
      const rules = Array.isArray(config.rules) ? config.rules.length : 0;
      return rules === 1 ? '1 rule' : `${rules} rules`;
    }
    default:
      return node.type;
  }
}

/** How many nodes a body holds, in words. */
export function holds(node: DefNode): string {
  const body = bodyOf(node);
  const count = body ? nodesOf(body).length : 0;
  return count === 1 ? '1 node' : `${count} nodes`;
}
