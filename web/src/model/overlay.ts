/** A run on the drawing: what became of each node, folded from the events of its history. */

export type StepStatus =
  'pending' | 'running' | 'waiting' | 'completed' | 'failed' | 'skipped' | 'cancelled' | 'unknown';

export type RunStatus = 'pending' | 'running' | 'waiting' | 'paused' | 'completed' | 'failed' | 'cancelled';

export interface RunEvent {
  seq: number;
  at: string;
  type: string;
  node?: string | null;
  generation?: number | null;
  iteration?: string | null;
  attempt?: number | null;
  data?: unknown;
}

export interface NodeRun {
  status: StepStatus;
  generation: number;
  attempt: number;
  startedAt: string | null;
  endedAt: string | null;
  tokens: number;
  error: { code: string; message: string } | null;
  /** The branch by which it ended. */
  branch: string | null;
  /** When the next attempt begins. */
  retryAt: string | null;
  /** States by iteration, of nodes in bodies; empty outside. */
  iterations: Record<string, StepStatus>;
  /** Rounds of its body that began and ended, of a node that has one. */
  rounds: { begun: number; ended: number };
}

export interface Overlay {
  run: string;
  /** Of the last event that is in it. */
  seq: number;
  status: RunStatus;
  generation: number;
  startedAt: string | null;
  endedAt: string | null;
  error: { code: string; message: string; node: string | null } | null;
  nodes: Record<string, NodeRun>;
}

/** What the fold asks about the definition. */
export interface Shape {
  /** Whether a node is open until time or people end it. */
  waits: (node: string) => boolean;
  /** What runs again when a run is taken up from there. */
  from: (node: string) => Iterable<string>;
}

export const empty = (run: string): Overlay => ({
  run,
  seq: 0,
  status: 'pending',
  generation: 1,
  startedAt: null,
  endedAt: null,
  error: null,
  nodes: {},
});

const FRESH: Readonly<NodeRun> = Object.freeze({
  status: 'pending',
  generation: 1,
  attempt: 0,
  startedAt: null,
  endedAt: null,
  tokens: 0,
  error: null,
  branch: null,
  retryAt: null,
  iterations: Object.freeze({}),
  rounds: Object.freeze({ begun: 0, ended: 0 }),
});

const ENDS: Record<string, StepStatus> = {
  'step.completed': 'completed',
  'step.failed': 'failed',
  'step.skipped': 'skipped',
  'step.cancelled': 'cancelled',
  'step.unknown': 'unknown',
};

type Fields = Record<string, unknown>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};

/** Folds events that follow; what was folded before is passed over, so events may come twice. */
export function advance(overlay: Overlay, events: readonly RunEvent[], shape: Shape): Overlay {
  const fresh = events.filter((event) => event.seq > overlay.seq);
  if (fresh.length === 0) return overlay;
  const next: Overlay = { ...overlay, nodes: { ...overlay.nodes } };
  // Copied once for each batch, however many events name it.
  const copied = new Set<string>();
  for (const event of fresh) {
    if (event.seq <= next.seq) continue;
    next.seq = event.seq;
    if (event.node) foldStep(next, event, event.node, copied, shape);
    else foldRun(next, event, shape);
  }
  return next;
}

function foldStep(overlay: Overlay, event: RunEvent, id: string, copied: Set<string>, shape: Shape): void {
  const known = overlay.nodes[id];
  const before = known ?? FRESH;
  const node =
    known && copied.has(id)
      ? known
      : { ...before, iterations: { ...before.iterations }, rounds: { ...before.rounds } };
  copied.add(id);
  overlay.nodes[id] = node;
  const data = fieldsOf(event.data);
  const generation = event.generation ?? overlay.generation;
  if (generation > node.generation)
    Object.assign(node, FRESH, { iterations: {}, rounds: { begun: 0, ended: 0 } });
  node.generation = generation;
  node.attempt = Math.max(node.attempt, event.attempt ?? 0);
  if (event.type === 'step.iteration_started') node.rounds.begun += 1;
  if (event.type === 'step.iteration_ended') node.rounds.ended += 1;
  const status = statusOf(event, id, shape);
  if (!status) return;
  node.retryAt = event.type === 'step.retrying' && typeof data.retry_at === 'string' ? data.retry_at : null;
  node.tokens += tokensOf(data.usage);
  node.error = errorOf(data.error);
  if (typeof data.branch === 'string') node.branch = data.branch;
  const iteration = event.iteration ?? '';
  if (iteration !== '') node.iterations[iteration] = status;
  node.status = iteration === '' ? status : together(Object.values(node.iterations));
  if (event.type === 'step.started') node.startedAt ??= event.at;
  node.endedAt = event.type in ENDS ? event.at : null;
}

function statusOf(event: RunEvent, id: string, shape: Shape): StepStatus | null {
  if (event.type === 'step.started') return shape.waits(id) ? 'waiting' : 'running';
  if (event.type === 'step.retrying') return 'running';
  return ENDS[event.type] ?? null;
}

/** The one state of many iterations: what is worst, then what still moves. */
function together(all: StepStatus[]): StepStatus {
  const order: StepStatus[] = [
    'failed',
    'unknown',
    'running',
    'waiting',
    'cancelled',
    'completed',
    'skipped',
  ];
  return order.find((status) => all.includes(status)) ?? 'pending';
}

function tokensOf(usage: unknown): number {
  const { prompt_tokens: asked, completion_tokens: said } = fieldsOf(usage);
  return (typeof asked === 'number' ? asked : 0) + (typeof said === 'number' ? said : 0);
}

function errorOf(error: unknown): { code: string; message: string } | null {
  const { code, message } = fieldsOf(error);
  return typeof code === 'string' ? { code, message: typeof message === 'string' ? message : '' } : null;
}

function foldRun(overlay: Overlay, event: RunEvent, shape: Shape): void {
  const data = fieldsOf(event.data);
  switch (event.type) {
    case 'run.created':
      overlay.status = 'running';
      overlay.startedAt = event.at;
      break;
    case 'run.paused':
      overlay.status = 'paused';
      break;
    case 'run.resumed':
      overlay.status = 'running';
      break;
    case 'run.rerun': {
      overlay.status = 'running';
      overlay.generation += 1;
      overlay.startedAt = event.at;
      overlay.endedAt = null;
      overlay.error = null;
      const from = typeof data.from === 'string' ? data.from : '';
      for (const id of shape.from(from)) Reflect.deleteProperty(overlay.nodes, id);
      break;
    }
    case 'run.completed':
    case 'run.cancelled':
      overlay.status = event.type === 'run.completed' ? 'completed' : 'cancelled';
      overlay.endedAt = event.at;
      break;
    case 'run.failed': {
      overlay.status = 'failed';
      overlay.endedAt = event.at;
      const error = errorOf(data.error);
      const { node } = fieldsOf(data.error);
      overlay.error = error && { ...error, node: typeof node === 'string' ? node : null };
      break;
    }
    default:
  }
}

/** The run's status as people see it: one that only waits says so. */
export function runStatus(overlay: Overlay): RunStatus {
  if (overlay.status !== 'running') return overlay.status;
  const states = Object.values(overlay.nodes).map((node) => node.status);
  const isOpen = (status: StepStatus) => status === 'waiting' || status === 'unknown';
  return states.some(isOpen) && !states.includes('running') ? 'waiting' : 'running';
}

/** How many iterations are in each state. */
export function counts(node: NodeRun): Partial<Record<StepStatus, number>> {
  const found: Partial<Record<StepStatus, number>> = {};
  for (const status of Object.values(node.iterations)) found[status] = (found[status] ?? 0) + 1;
  return found;
}

export const hasEnded = (status: RunStatus): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled';

/** The events of a history up to the end of a generation. */
export function upTo(events: readonly RunEvent[], generation: number): RunEvent[] {
  let now = 1;
  const end = events.findIndex((event) => {
    if (event.type === 'run.rerun') now += 1;
    return now > generation;
  });
  return end < 0 ? [...events] : events.slice(0, end);
}
