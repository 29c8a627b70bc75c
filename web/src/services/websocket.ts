/**
 * What happens now, in the order in which it happened. A run's events and its agents' words, what agents say in a
 * workflow's runs, and which runs of the project begin and end: over one socket, which is opened when it is first needed.
 *
 * Whoever follows a run says from which seq on. After a lost connection it goes on behind the last one, so nothing is missed
 * and nothing counts twice. Where the server or the way to it refuses sockets, a run is followed by its event stream.
 */
import type { Socket } from 'socket.io-client';
import type { RunEvent, StepStatus } from '../model/overlay';
import { getKey, onKey } from './credential';
import { Follower, type Followed, type Listener } from './follower';
import { origin } from './send';
import type { Words } from './stream';

export interface AgentUpdate extends Words {
  workflowId: string;
  runId: string;
}

/** What becomes of a step. */
export interface StepUpdate {
  runId: string;
  node: string;
  status?: string;
}

/** A run of the project that begins, once more or for the first time, or ends. */
export interface Moved {
  runId: string;
  workflowId: string | null;
  status: string;
}

/** What an update says, as docs/live.md lists it. */
interface Update {
  workflowId: string | null;
  runId: string;
  seq: number;
  at?: string;
  type?: string;
  node?: string;
  generation?: number;
  iteration?: string;
  attempt?: number;
  status?: string;
  branch?: string;
  usage?: unknown;
  error?: unknown;
  said?: string;
}

type Subject = { runId: string; after?: number } | { workflowId: string } | { project: true };
type Answer = { ok: true } | { error: { code: string } };

/** So long a run waits for the socket before it is followed by its stream, in milliseconds. */
const PATIENCE_MS = 2500;
/** A socket that was refused is tried again after so long: the key may be another one, or there is room. */
const REFUSED_MS = 30_000;

export class WebSocketService {
  private socket: Socket | null = null;
  readonly #followers = new Map<string, Set<Follower>>();
  readonly #agents = new Map<string, Set<(update: AgentUpdate) => void>>();
  readonly #steps = new Map<string, Set<(step: StepUpdate | null) => void>>();
  /** How many want to hear of a workflow. */
  readonly #workflows = new Map<string, number>();
  readonly #watchers = new Set<(moved: Moved | null) => void>();
  readonly #standing = new Set<() => void>();
  #isOpening = false;
  #isUp = false;
  #downSince = Date.now();

  /** Follows a run from behind a seq, until the returned function is called. */
  followRun(run: Followed, after: number, listener: Listener): () => void {
    const follower = new Follower(run, after, listener, (words) => this.#tell(run.workflowId, run.id, words));
    const all = this.#followers.get(run.id) ?? new Set();
    this.#followers.set(run.id, all.add(follower));
    this.#open();
    if (this.#isUp) this.#ask(follower);
    else follower.streamIn(this.#patience());
    return () => {
      follower.stop();
      all.delete(follower);
      if (all.size > 0 || this.#followers.get(run.id) !== all) return;
      this.#followers.delete(run.id);
      this.#emit('unsubscribe', { runId: run.id });
    };
  }

  /** Tells what agents say in the runs of a workflow; without one, in those that are followed and are of none. */
  subscribeToAgentUpdates(workflowId: string, told: (update: AgentUpdate) => void): () => void {
    const all = this.#agents.get(workflowId) ?? new Set();
    this.#agents.set(workflowId, all.add(told));
    const leave = this.#want(workflowId);
    return () => {
      all.delete(told);
      leave();
    };
  }

  /** Tells what becomes of steps in a workflow's open runs, and in those that begin; null where some may have been missed. */
  watchSteps(workflowId: string, told: (step: StepUpdate | null) => void): () => void {
    const all = this.#steps.get(workflowId) ?? new Set();
    this.#steps.set(workflowId, all.add(told));
    const leave = this.#want(workflowId);
    return () => {
      all.delete(told);
      leave();
    };
  }

  /** Tells which runs of the project begin and end; null where some may have been missed. */
  watchRuns(told: (moved: Moved | null) => void): () => void {
    this.#watchers.add(told);
    this.#open();
    if (this.#watchers.size === 1) this.#emit('subscribe', { project: true });
    return () => {
      this.#watchers.delete(told);
      if (this.#watchers.size === 0) this.#emit('unsubscribe', { project: true });
    };
  }

  /** Whether the socket stands: what it tells need not be asked for again and again. */
  readonly isUp = (): boolean => this.#isUp;

  readonly onStanding = (told: () => void): (() => void) => {
    this.#standing.add(told);
    return () => this.#standing.delete(told);
  };

  /** Subscribes to a workflow, once for all who want it; returns how one of them leaves. */
  #want(workflowId: string): () => void {
    this.#open();
    if (workflowId === '') return () => undefined;
    const wants = (this.#workflows.get(workflowId) ?? 0) + 1;
    this.#workflows.set(workflowId, wants);
    if (wants === 1) this.#subscribe(workflowId);
    return () => {
      const left = (this.#workflows.get(workflowId) ?? 1) - 1;
      if (left > 0) return void this.#workflows.set(workflowId, left);
      this.#workflows.delete(workflowId);
      this.#emit('unsubscribe', { workflowId });
    };
  }

  /** From the answer on it is told. */
  #subscribe(workflowId: string): void {
    this.#emit('subscribe', { workflowId }, () => {
      for (const told of this.#steps.get(workflowId) ?? []) told(null);
    });
  }

  #open(): void {
    if (this.#isOpening) return;
    this.#isOpening = true;
    this.#downSince = Date.now();
    const loaded = import('socket.io-client').then(({ io }) => {
      // The token is that of the moment, each time it connects.
      const auth = (give: (data: object) => void) => give({ token: getKey() ?? undefined });
      const socket = io(origin(), { path: '/ws', transports: ['websocket'], auth });
      this.socket = socket;
      socket.on('connect', () => this.#connected());
      socket.on('disconnect', () => this.#gone());
      socket.on('connect_error', () => this.#gone());
      socket.on('run:update', (update: Update) => this.#happened(update));
      socket.on('step:update', (update: Update) => this.#happened(update));
      socket.on('agent:update', (update: Update) => this.#said(update));
      socket.on('run:begin', (moved: Moved) => this.#moved(moved));
      socket.on('run:end', (moved: Moved) => this.#moved(moved));
      socket.on('resync', (of: Partial<Update> & { project?: true }) => this.#resync(of));
      // Another key is another person: what this one was let in for is over.
      onKey(() => void socket.disconnect().connect());
      setInterval(() => {
        // After a refusal it does not try again by itself.
        if (!socket.connected && !socket.active) socket.connect();
      }, REFUSED_MS);
    });
    // Where it can't be loaded runs are followed by their streams; whoever asks next tries again.
    loaded.catch(() => (this.#isOpening = false));
  }

  #connected(): void {
    this.#stands(true);
    // Workflows first: each run is named behind them with its seq, and told from there.
    for (const workflowId of this.#workflows.keys()) this.#subscribe(workflowId);
    if (this.#watchers.size > 0) this.#emit('subscribe', { project: true });
    for (const followers of this.#followers.values()) for (const follower of followers) this.#ask(follower);
    this.#moved(null);
  }

  #gone(): void {
    if (this.#isUp) this.#downSince = Date.now();
    this.#stands(false);
    for (const followers of this.#followers.values())
      for (const follower of followers) follower.socketFell(this.#patience());
  }

  /** So long a run still waits for the socket: one that was refused comes not soon, nor one that was waited for already. */
  #patience(): number {
    if (this.socket && !this.socket.active) return 0;
    return Math.max(0, PATIENCE_MS - (Date.now() - this.#downSince));
  }

  #stands(is: boolean): void {
    if (this.#isUp === is) return;
    this.#isUp = is;
    for (const told of this.#standing) told();
  }

  /** Asks for a run from where the last of its followers is. */
  #ask(follower: Follower): void {
    const all = [...(this.#followers.get(follower.run.id) ?? [])];
    const after = Math.min(...all.map((one) => one.seq));
    this.#emit('subscribe', { runId: follower.run.id, after }, (answer) => {
      if ('ok' in answer) follower.socketStands();
      // There is no such run, or no room: its stream says which.
      else follower.streamIn(0);
    });
  }

  #emit(name: 'subscribe' | 'unsubscribe', subject: Subject, answered?: (answer: Answer) => void): void {
    if (!this.#isUp) return;
    this.socket?.emit(name, subject, (answer: Answer) => answered?.(answer));
  }

  #happened(update: Update): void {
    const { runId, workflowId, node, status } = update;
    if (node !== undefined)
      for (const told of this.#steps.get(workflowId ?? '') ?? []) told({ runId, node, status });
    const followers = this.#followers.get(runId);
    if (!followers) return;
    const event = eventOf(update);
    for (const follower of followers) follower.take([event]);
  }

  #said({ runId, workflowId, said, node = '', generation = 1, iteration = '', attempt = 1 }: Update): void {
    if (said === undefined) return;
    const words = { node, generation, iteration, attempt, text: said };
    for (const follower of this.#followers.get(runId) ?? []) follower.listener.words?.(words);
    this.#tell(workflowId, runId, words);
  }

  #tell(workflowId: string | null, runId: string, words: Words): void {
    for (const told of this.#agents.get(workflowId ?? '') ?? [])
      told({ ...words, workflowId: workflowId ?? '', runId });
  }

  #moved(moved: Moved | null): void {
    for (const told of this.#watchers) told(moved);
  }

  #resync({ runId, workflowId, project }: Partial<Update> & { project?: true }): void {
    if (runId !== undefined) for (const one of this.#followers.get(runId) ?? []) one.lose();
    else if (project) this.#moved(null);
    else if (workflowId && this.#workflows.has(workflowId)) this.#subscribe(workflowId);
  }
}

/** An update as the event that the history has of it, without its values. */
function eventOf(update: Update): RunEvent {
  const { seq, at = '', type = '', node, generation, iteration, attempt } = update;
  const { branch, usage, error } = update;
  const event: RunEvent = { seq, at, type, data: { branch, usage, error } };
  if (node === undefined) return event;
  return { ...event, node, generation, iteration, attempt, status: update.status as StepStatus | undefined };
}

export const live = new WebSocketService();
export type { Followed } from './follower';
