/** A run on the drawing: what became of each node, as the server tells it, and the events that follow folded in. */

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
  /** What the step is from then on, where it is told. */
  status?: StepStatus | null;
  data?: unknown;
}

export type Counts = Partial<Record<StepStatus, number>>;

export interface NodeRun {
  status: StepStatus;
  generation: number;
  attempt: number;
  startedAt: string | null;
  endedAt: string | null;
  tokens: number;
  /** The code of its last failure. */
  error: string | null;
  /** The branch by which it ended, as far as that was heard. */
  branch: string | null;
  /** How many iterations are in each state, of nodes in bodies; empty outside. */
  counts: Counts;
  /** The states of iterations that were heard of one by one. */
  iterations: Record<string, StepStatus>;
  /** Rounds of its body that began and ended, of a node that has one. */
  rounds: { begun: number; ended: number };
}

export interface Trial {
  until?: string | null;
  only?: string | null;
  pinned?: string[];
}

export interface Overlay {
  run: string;
  /** Of the last event that is in it. */
  seq: number;
  /** Null of an earlier generation: it is told node by node. */
  status: RunStatus | null;
  generation: number;
  startedAt: string | null;
  endedAt: string | null;
  error: { code: string; message: string; node: string | null } | null;
  nodes: Record<string, NodeRun>;
  /** Edges that were taken, as `source|branch|target`. */
  edges: Record<string, true>;
  /** How it is tried, where it is not what its definition alone says. */
  trial: Trial | null;
}

/** What the server says of a run as a whole. */
export interface RunTold {
  id: string;
  status: RunStatus;
  generation: number;
  started_at: string | null;
  ended_at: string | null;
  error: { code: string; message: string; node?: string | null } | null;
  trial?: Trial | null;
}

interface NodeTold {
  node: string;
  generation: number;
  status: StepStatus;
  attempt: number;
  counts?: Counts | null;
  iterations?: { begun: number; ended: number } | null;
  started_at: string | null;
  ended_at: string | null;
  usage: unknown;
  error: string | null;
}

/** What the server says of its nodes and edges, up to a seq. */
export interface OverlayTold {
  generation: number;
  seq: number;
  nodes: NodeTold[];
  edges: { source: string; target: string; branch: string | null }[];
}

/** What the fold asks about the definition. */
export interface Shape {
  /** Whether a node is open until time or people end it. */
  waits: (node: string) => boolean;
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
  edges: {},
  trial: null,
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
  counts: Object.freeze({}),
  iterations: Object.freeze({}),
  rounds: Object.freeze({ begun: 0, ended: 0 }),
});

export const edgeName = (source: string, branch: string | null | undefined, target: string): string =>
  `${source}|${branch ?? ''}|${target}`;

/** The overlay as the server tells it; events behind its seq are folded into it. */
export function overlayOf(run: RunTold, told: OverlayTold): Overlay {
  const isPast = told.generation < run.generation;
  return {
    run: run.id,
    seq: told.seq,
    // That it only waits is seen by its nodes.
    status: isPast ? null : run.status === 'waiting' ? 'running' : run.status,
    generation: told.generation,
    startedAt: isPast ? null : run.started_at,
    endedAt: isPast ? null : run.ended_at,
    error: isPast || !run.error ? null : { ...run.error, node: run.error.node ?? null },
    nodes: Object.fromEntries(told.nodes.map((node) => [node.node, nodeOf(node)])),
    edges: Object.fromEntries(
      told.edges.map(({ source, branch, target }) => [edgeName(source, branch, target), true]),
    ),
    trial: run.trial ?? null,
  };
}

const nodeOf = (told: NodeTold): NodeRun => ({
  ...FRESH,
  status: told.status,
  generation: told.generation,
  attempt: told.attempt,
  startedAt: told.started_at,
  endedAt: told.ended_at,
  tokens: tokensOf(told.usage),
  error: told.error,
  counts: { ...told.counts },
  iterations: {},
  rounds: { begun: 0, ended: 0, ...told.iterations },
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
    else foldRun(next, event);
  }
  return next;
}

function foldStep(overlay: Overlay, event: RunEvent, id: string, copied: Set<string>, shape: Shape): void {
  const known = overlay.nodes[id];
  const before = known ?? FRESH;
  const node = known && copied.has(id) ? known : { ...before, ...partsOf(before) };
  copied.add(id);
  overlay.nodes[id] = node;
  const data = fieldsOf(event.data);
  const generation = event.generation ?? overlay.generation;
  if (generation > node.generation) Object.assign(node, FRESH, partsOf(FRESH));
  node.generation = generation;
  node.attempt = Math.max(node.attempt, event.attempt ?? 0);
  if (event.type === 'step.iteration_started') node.rounds.begun += 1;
  if (event.type === 'step.iteration_ended') node.rounds.ended += 1;
  const status = event.status ?? statusOf(event, id, shape);
  if (!status) return;
  node.tokens += tokensOf(data.usage);
  node.error = errorOf(data.error)?.code ?? node.error;
  if (typeof data.branch === 'string') node.branch = data.branch;
  const iteration = event.iteration ?? '';
  if (iteration !== '') count(node, event, iteration, status);
  node.status = iteration === '' ? status : together(node.counts);
  if (event.type === 'step.started' || event.type in ENDS) node.startedAt ??= event.at;
  node.endedAt = OPEN.includes(node.status) ? null : event.at;
}

const partsOf = ({ counts, iterations, rounds }: Readonly<NodeRun>) => ({
  counts: { ...counts },
  iterations: { ...iterations },
  rounds: { ...rounds },
});

/** Moves an iteration from the state that it was in to another one. */
function count(node: NodeRun, event: RunEvent, iteration: string, status: StepStatus): void {
  const was = node.iterations[iteration] ?? presumed(node.counts, event);
  if (was) {
    const left = (node.counts[was] ?? 0) - 1;
    if (left > 0) node.counts[was] = left;
    else Reflect.deleteProperty(node.counts, was);
  }
  node.counts[status] = (node.counts[status] ?? 0) + 1;
  node.iterations[iteration] = status;
}

/** The state of an iteration that the server has counted and not named. */
function presumed(counts: Counts, event: RunEvent): StepStatus | null {
  const isFirst = event.type === 'step.started' && (event.attempt ?? 1) <= 1;
  if (isFirst || event.type === 'step.skipped') return null;
  const order: StepStatus[] =
    event.type === 'step.started'
      ? ['pending', 'unknown', 'running']
      : ['running', 'waiting', 'pending', 'unknown'];
  return order.find((status) => counts[status]) ?? null;
}

function statusOf(event: RunEvent, id: string, shape: Shape): StepStatus | null {
  if (event.type === 'step.started') return shape.waits(id) ? 'waiting' : 'running';
  if (event.type === 'step.retrying') return 'pending';
  return ENDS[event.type] ?? null;
}

const OPEN: StepStatus[] = ['running', 'waiting', 'unknown', 'pending'];

/** The one state of many iterations: what still moves, then what is worst. The server's order. */
function together(counts: Counts): StepStatus {
  const order: StepStatus[] = [...OPEN, 'failed', 'completed', 'cancelled', 'skipped'];
  return order.find((status) => counts[status]) ?? 'pending';
}

function tokensOf(usage: unknown): number {
  const { prompt_tokens: asked, completion_tokens: said } = fieldsOf(usage);
  return (typeof asked === 'number' ? asked : 0) + (typeof said === 'number' ? said : 0);
}

function errorOf(error: unknown): { code: string; message: string } | null {
  const { code, message } = fieldsOf(error);
  return typeof code === 'string' ? { code, message: typeof message === 'string' ? message : '' } : null;
}

function foldRun(overlay: Overlay, event: RunEvent): void {
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
    // Which nodes it takes up again the server says: who follows asks for the overlay anew.
    case 'run.rerun':
      overlay.status = 'running';
      overlay.generation += 1;
      overlay.startedAt = event.at;
      overlay.endedAt = null;
      overlay.error = null;
      break;
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

/** The run's status as people see it: one that only waits says so. Null of an earlier generation. */
export function runStatus(overlay: Overlay): RunStatus | null {
  if (overlay.status !== 'running') return overlay.status;
  const states = Object.values(overlay.nodes).map((node) => node.status);
  const is = (...some: StepStatus[]) => states.some((status) => some.includes(status));
  return is('waiting', 'unknown') && !is('running', 'pending') ? 'waiting' : 'running';
}

export const hasEnded = (status: RunStatus): boolean =>
  status === 'completed' || status === 'failed' || status === 'cancelled';

/** Whether an event makes more of the overlay untrue than it says: a rerun takes up nodes, an end closes what is open. */
export const isTurn = ({ type }: RunEvent): boolean =>
  ['run.rerun', 'run.completed', 'run.failed', 'run.cancelled'].includes(type);
