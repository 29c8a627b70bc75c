/** The workflow that is edited. `document` is the truth; `nodes` and `edges` are its drawing, made by the same reducers. */
import { createSlice, original, type PayloadAction } from '@reduxjs/toolkit';
import { EMPTY, find, type Definition, type DefNode, type Position, type Problem } from '../model/document';
import { equal } from '../model/diff';
import * as edits from '../model/edits';
import { addNote as noted, moveNotes, removeNotes, writeNote, NOTE } from '../model/notes';
import { draw, type FlowEdge, type FlowNode } from '../model/graph';
import * as undo from '../model/history';
import {
  advance,
  empty,
  hasEnded,
  runStatus,
  type Overlay,
  type RunEvent,
  type Shape,
} from '../model/overlay';
import { renamedPin, type Pin, type Pins } from '../model/pins';
import { shapeOf } from '../model/shape';

/** An agent at work in the run that is shown. */
export interface Agent {
  node: string;
  iteration: string;
  /** The last of what it said. */
  said: string;
}

export interface WorkflowState {
  document: Definition;
  nodes: FlowNode[];
  edges: FlowEdge[];
  agents: Agent[];
  /** The node in the panel; `start:` and `end:` stand for the workflow's own. */
  selectedNode: string | null;
  running: boolean;
  overlay: Overlay | null;
  collapsed: Record<string, boolean>;
  history: undo.History<Definition>;
  /** As the server has it. */
  saved: Definition;
  savedText: string | null;
  /** As it is written, where that is YAML, and the document that it says. It follows the document when it is saved or shown. */
  source: Source | null;
  problems: Problem[];
  /** Outputs that are given when it is tried. */
  pins: Pins;
}

export interface Source {
  text: string;
  says: Definition;
}

/** A document, and as what it is written where that is YAML. */
interface Told {
  document: Definition;
  text: string | null;
}

const told = (document: Definition, text: string | null = null): { payload: Told } => ({
  payload: { document, text },
});

/** Whether there is something that the server does not have. */
export const isEdited = ({ document, saved, source, savedText }: WorkflowState): boolean =>
  document !== saved || (source?.text ?? null) !== savedText;

/** Of the words of an agent, in characters. */
const LONGEST = 4096;

const fresh = ({ document, text }: Told): WorkflowState => ({
  document,
  saved: document,
  savedText: text,
  source: sourceOf({ document, text }),
  ...draw(document),
  agents: [],
  selectedNode: null,
  running: false,
  overlay: null,
  collapsed: {},
  history: undo.nothing(),
  problems: [],
  pins: {},
});

const sourceOf = ({ document, text }: Told): Source | null =>
  text === null ? null : { text, says: document };

/** The state as plain objects: the model knows no drafts, and what it does not change stays the same object. */
const plain = (state: WorkflowState) => original<WorkflowState>(state);

/** Puts another document in place, drawn. */
function show(state: WorkflowState, document: Definition, history = state.history): WorkflowState {
  return { ...state, document, history, ...draw(document, state.collapsed) };
}

/** A change that can be undone; one that changes nothing is none. */
function changed(state: WorkflowState, document: Definition): WorkflowState {
  if (document === state.document) return state;
  return show(state, document, undo.noted(state.history, state.document));
}

const shape = (state: WorkflowState): Shape => shapeOf(state.document);

function seen(state: WorkflowState, overlay: Overlay): WorkflowState {
  const status = runStatus(overlay);
  return { ...state, overlay, running: status !== null && !hasEnded(status) };
}

const workflowSlice = createSlice({
  name: 'workflow',
  initialState: fresh({ document: EMPTY, text: null }),
  reducers: {
    opened: { prepare: told, reducer: (_, { payload }: PayloadAction<Told>) => fresh(payload) },
    /** Edits that were kept are taken up over what the server has. */
    restored: {
      prepare: told,
      reducer: (state, { payload }: PayloadAction<Told>) => ({
        ...changed(plain(state), payload.document),
        source: sourceOf(payload),
      }),
    },
    /** What the server has now. */
    saved: {
      prepare: told,
      reducer: (state, { payload: { document, text } }: PayloadAction<Told>) => ({
        ...plain(state),
        saved: document,
        savedText: text,
      }),
    },
    /** The text says what the document says, or is another one that says the same. */
    written: {
      prepare: told,
      reducer: (state, { payload }: PayloadAction<Told>) => ({ ...plain(state), source: sourceOf(payload) }),
    },
    /** Somebody has changed the text: the document is what it says. */
    typed: {
      prepare: told,
      reducer: (state, { payload: { document, text } }: PayloadAction<Told>) => {
        const now = plain(state);
        // A comment is no edit of the document.
        const next = equal(now.document, document) ? now : changed(now, document);
        const isThere = next.selectedNode !== null && find(next.document, next.selectedNode) !== undefined;
        const selectedNode = isThere || next.selectedNode?.endsWith(':') ? next.selectedNode : null;
        return { ...next, selectedNode, source: sourceOf({ document: next.document, text }) };
      },
    },
    addNode: (
      state,
      {
        payload,
      }: PayloadAction<
        { type?: string; at?: Position; after?: string | null; container?: string | null } | undefined
      >,
    ) => {
      const now = plain(state);
      const selected = now.selectedNode && find(now.document, now.selectedNode) ? now.selectedNode : null;
      const { document, id } = edits.addNode(now.document, { after: selected, ...payload });
      return { ...changed(now, document), selectedNode: id };
    },
    /** Changes the kind of the node that was just added, in the same step of undo. */
    chooseType: (state, { payload }: PayloadAction<{ id: string; type: string }>) => {
      const now = plain(state);
      const document = edits.setType(now.document, payload.id, payload.type);
      return show(now, document);
    },
    setType: (state, { payload }: PayloadAction<{ id: string; type: string }>) => {
      const now = plain(state);
      return changed(now, edits.setType(now.document, payload.id, payload.type));
    },
    insertNode: (state, { payload }: PayloadAction<{ edge: string; type: string }>) => {
      const now = plain(state);
      const added = edits.insertOn(now.document, payload.edge, payload.type);
      return added ? { ...changed(now, added.document), selectedNode: added.id } : now;
    },
    updateNode: (state, { payload }: PayloadAction<{ id: string; fields: Partial<DefNode> }>) => {
      const now = plain(state);
      return changed(now, edits.setNode(now.document, payload.id, payload.fields));
    },
    /** Leaves a node out of runs, or takes it in again. */
    setDisabled: (state, { payload }: PayloadAction<{ id: string; is: boolean }>) => {
      const now = plain(state);
      const fields = { disabled: payload.is ? true : undefined };
      return changed(now, edits.setNode(now.document, payload.id, fields));
    },
    /** A node has another id, and all that refers to it follows: the server has done it. */
    renamed: (state, { payload }: PayloadAction<{ document: Definition; from: string; to: string }>) => {
      const next = changed(plain(state), payload.document);
      const pins = renamedPin(next.pins, payload.from, payload.to);
      return { ...next, selectedNode: payload.to, pins };
    },
    /** Gives a node its output from now on, or no more. */
    pinned: (state, { payload: { id, pin } }: PayloadAction<{ id: string; pin: Pin | null }>) => {
      const others = Object.entries(plain(state).pins).filter(([other]) => other !== id);
      const all = pin ? [...others, [id, pin] as const] : others;
      return { ...plain(state), pins: Object.fromEntries(all) };
    },
    /** What this browser has kept of them. */
    pinsFound: (state, { payload }: PayloadAction<Pins>) => ({ ...plain(state), pins: payload }),
    addNote: (state, { payload }: PayloadAction<Position>) => {
      const now = plain(state);
      const { document, id } = noted(now.document, payload);
      return { ...changed(now, document), selectedNode: NOTE + id };
    },
    updateNote: (state, { payload }: PayloadAction<{ id: string; text: string }>) => {
      const now = plain(state);
      return changed(now, writeNote(now.document, payload.id, payload.text));
    },
    updateWorkflow: (state, { payload }: PayloadAction<Partial<Definition>>) => {
      const now = plain(state);
      return changed(now, edits.setWorkflow(now.document, payload));
    },
    /** Adds an edge, or takes away those that are named. */
    updateEdge: (
      state,
      {
        payload,
      }: PayloadAction<
        { connect: { source: string; target: string; branch?: string } } | { remove: string[] }
      >,
    ) => {
      const now = plain(state);
      if ('remove' in payload) return changed(now, edits.removeEdges(now.document, payload.remove));
      const { source, target, branch } = payload.connect;
      return changed(now, edits.connect(now.document, source, target, branch));
    },
    remove: (state, { payload }: PayloadAction<{ nodes: string[]; edges: string[] }>) => {
      const now = plain(state);
      const without = edits.removeEdges(now.document, payload.edges);
      const next = changed(now, removeNotes(edits.removeNodes(without, payload.nodes), payload.nodes));
      const isThere = next.selectedNode !== null && find(next.document, next.selectedNode) !== undefined;
      return { ...next, selectedNode: isThere ? next.selectedNode : null };
    },
    moved: (state, { payload }: PayloadAction<Record<string, Position>>) => {
      const now = plain(state);
      return changed(now, moveNotes(edits.moveNodes(now.document, payload, now.collapsed), payload));
    },
    tidied: (state) => {
      const now = plain(state);
      return changed(now, edits.tidy(now.document, now.collapsed));
    },
    pasted: (state, { payload }: PayloadAction<edits.Fragment>) => {
      const now = plain(state);
      const container = now.selectedNode ? (find(now.document, now.selectedNode)?.container ?? null) : null;
      const { document, ids } = edits.paste(now.document, payload, container);
      return { ...changed(now, document), selectedNode: ids[0] ?? null };
    },
    undone: (state) => {
      const now = plain(state);
      const back = undo.undone(now.history, now.document);
      return back ? show(now, back.now, back.history) : now;
    },
    redone: (state) => {
      const now = plain(state);
      const on = undo.redone(now.history, now.document);
      return on ? show(now, on.now, on.history) : now;
    },
    select: (state, { payload }: PayloadAction<string | null>) => {
      state.selectedNode = payload;
    },
    toggleCollapsed: (state, { payload }: PayloadAction<string>) => {
      const now = plain(state);
      const collapsed = { ...now.collapsed, [payload]: now.collapsed[payload] !== true };
      return { ...now, collapsed, ...draw(now.document, collapsed) };
    },
    problemsFound: (state, { payload }: PayloadAction<Problem[]>) => {
      state.problems = payload;
    },
    /** Shows a run on the drawing; none with null. */
    runShown: (state, { payload }: PayloadAction<string | null>) => ({
      ...plain(state),
      overlay: payload === null ? null : empty(payload),
      agents: [],
      running: payload !== null,
    }),
    /** What the server says of the run that is shown. */
    overlaid: (state, { payload }: PayloadAction<Overlay>) => {
      const now = plain(state);
      return now.overlay?.run === payload.run ? seen(now, payload) : now;
    },
    /** What happened in the run that is shown. */
    advanced: (state, { payload }: PayloadAction<{ run: string; events: RunEvent[] }>) => {
      const now = plain(state);
      if (now.overlay?.run !== payload.run) return now;
      return seen(now, advance(now.overlay, payload.events, shape(now)));
    },
    setRunning: (state, { payload }: PayloadAction<boolean>) => {
      state.running = payload;
    },
    /** Words of an agent, as they come. */
    updateAgentStatus: (
      state,
      { payload }: PayloadAction<{ runId: string; node: string; iteration: string; text: string }>,
    ) => {
      if (state.overlay?.run !== payload.runId) return;
      const { node, iteration } = payload;
      let agent = state.agents.find((one) => one.node === node && one.iteration === iteration);
      if (!agent) {
        agent = { node, iteration, said: '' };
        state.agents.push(agent);
      }
      agent.said = (agent.said + payload.text).slice(-LONGEST);
    },
  },
});

export const {
  opened,
  restored,
  saved,
  written,
  typed,
  addNode,
  chooseType,
  setType,
  insertNode,
  updateNode,
  setDisabled,
  renamed,
  pinned,
  pinsFound,
  addNote,
  updateNote,
  updateWorkflow,
  updateEdge,
  remove,
  moved,
  tidied,
  pasted,
  undone,
  redone,
  select,
  toggleCollapsed,
  problemsFound,
  runShown,
  overlaid,
  advanced,
  setRunning,
  updateAgentStatus,
} = workflowSlice.actions;
export const workflow = workflowSlice.reducer;
