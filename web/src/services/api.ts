/** The API as components use it: the generated endpoints with what they make stale, and a few that are put together. */
import { definitionOf, type Definition } from '../model/document';
import { overlayOf, type Overlay, type OverlayTold, type RunTold } from '../model/overlay';
import { schema, type Draft, type Run, type Step, type Workflow } from './schema';
import type { Failure } from './send';

/** Headers of a call that may be sent twice and is done once. */
const once = () => ({ 'idempotency-key': crypto.randomUUID() });

const tagged = schema.enhanceEndpoints({
  addTagTypes: ['workflows', 'draft', 'versions', 'runs', 'run', 'questions', 'keys', 'triggers', 'me'],
  endpoints: {
    // With what became of their last runs it is as new as those.
    listWorkflows: {
      providesTags: (_, __, { include }) => (include ? ['workflows', 'runs'] : ['workflows']),
    },
    deleteWorkflow: { invalidatesTags: ['workflows'] },
    publishDraft: { invalidatesTags: ['workflows', 'versions'] },
    discardDraft: { invalidatesTags: ['workflows', 'draft', 'versions'] },
    listVersions: { providesTags: ['versions'] },
    restoreVersion: { invalidatesTags: ['workflows', 'draft', 'versions'] },
    annotateVersion: { invalidatesTags: ['versions'] },
    listRuns: { providesTags: ['runs'] },
    getRun: { providesTags: ['run'] },
    listSteps: { providesTags: ['run'] },
    getHistory: { providesTags: ['run'], keepUnusedDataFor: 0 },
    getValue: { keepUnusedDataFor: 0 },
    cancelRun: { invalidatesTags: ['runs', 'run'] },
    pauseRun: { invalidatesTags: ['runs', 'run'] },
    resumeRun: { invalidatesTags: ['runs', 'run'] },
    rerunRun: { invalidatesTags: ['runs', 'run'] },
    signalRun: { invalidatesTags: ['run'] },
    approveStep: { invalidatesTags: ['runs', 'run', 'questions'] },
    listApprovals: { providesTags: ['questions'] },
    getRunDefinition: { keepUnusedDataFor: 0 },
    startWorkflow: { invalidatesTags: ['runs', 'workflows'] },
    startRun: { invalidatesTags: ['runs'] },
    listTriggers: { providesTags: ['triggers'] },
    listFires: { providesTags: ['triggers'] },
    createTrigger: { invalidatesTags: ['triggers'] },
    replaceTrigger: { invalidatesTags: ['triggers'] },
    enableTrigger: { invalidatesTags: ['triggers'] },
    disableTrigger: { invalidatesTags: ['triggers'] },
    deleteTrigger: { invalidatesTags: ['triggers'] },
    renewTriggerSecret: { invalidatesTags: ['triggers'] },
    fireTrigger: { invalidatesTags: ['triggers', 'runs'] },
    listKeys: { providesTags: ['keys'] },
    createKey: { invalidatesTags: ['keys'] },
    revokeKey: { invalidatesTags: ['keys'] },
    getMe: { providesTags: ['me'] },
    getWays: { providesTags: ['me'] },
  },
});

export interface Saved {
  id: string;
  name: string;
  version: number;
  problems: unknown[];
  /** Names the draft as it is now. */
  draft: string;
}

/** A workflow as it is edited: its draft, or its latest version where there is none. */
export interface Opened {
  id: string;
  /** What a change is made on: `d7` is a draft, `v3` a version. */
  etag: string;
  /** The latest version that was published; 0 before the first. */
  version: number;
  author: string | null;
  updatedAt: string;
  definition: Definition;
  /** As it is written, where it came as YAML. */
  text: string | null;
}

/** A definition as it is written, and in which language. */
export interface Written {
  text: string;
  type: 'application/json' | 'application/yaml';
}

const YAML = 'application/yaml';

export const api = tagged.injectEndpoints({
  endpoints: (build) => ({
    /** Makes a workflow of a definition as it is written, whatever is wrong with it: as a draft, which nobody but an editor runs. */
    createDraft: build.mutation<Saved, Written>({
      query: ({ text, type }) => ({
        url: '/api/v1/workflows',
        method: 'POST',
        params: { draft: true },
        headers: { 'content-type': type, ...once() },
        body: text,
      }),
      invalidatesTags: ['workflows'],
    }),
    /** Saves the draft as it is written, if it is still what the change was made on. */
    writeDraft: build.mutation<Saved, Written & { id: string; etag: string }>({
      query: ({ id, etag, text, type }) => ({
        url: `/api/v1/workflows/${id}/draft`,
        method: 'PUT',
        headers: { 'content-type': type, 'if-match': `"${etag}"` },
        body: text,
      }),
    }),
    openWorkflow: build.query<Opened, string>({
      queryFn: async (id, _, __, fetch) => {
        const url = `/api/v1/workflows/${id}/draft`;
        const edited = await fetch(url);
        if (edited.error) return { error: edited.error };
        const draft = edited.data as Draft;
        const { etag, version, author, updated_at: updatedAt, media_type: type } = draft;
        const definition = definitionOf((draft.definition ?? {}) as Record<string, unknown>);
        const opened = { id, etag, version, author, updatedAt, definition };
        if (type !== YAML) return { data: { ...opened, text: null } };
        const written = await fetch({ url, headers: { accept: YAML }, responseHandler: 'text' });
        if (written.error) return { error: written.error };
        return { data: { ...opened, text: written.data as string } };
      },
      providesTags: ['draft'],
      keepUnusedDataFor: 0,
    }),
    /** A version, or the draft, as YAML in one order, with the positions at its end. */
    exported: build.query<string, { id: string; version: number | 'draft' }>({
      query: ({ id, version }) => ({
        url: `/api/v1/workflows/${id}/export`,
        params: { format: 'yaml', ...(version === 'draft' ? { draft: true } : { version }) },
        responseHandler: 'text',
      }),
      providesTags: ['workflows', 'versions'],
      keepUnusedDataFor: 0,
    }),
    /** A run on its drawing, as far as it is; of an earlier generation, as it was at its end. */
    overlay: build.query<Overlay, { run: string; generation?: number }>({
      queryFn: async ({ run, generation }, _, __, fetch) => {
        const url = `/api/v1/runs/${encodeURIComponent(run)}`;
        const told = await fetch({ url: `${url}/overlay`, params: { generation } });
        if (told.error) return { error: told.error };
        // Asked behind it, so it is no older than its nodes.
        const whole = await fetch(url);
        if (whole.error) return { error: whole.error };
        return { data: overlayOf(whole.data as RunTold, told.data as OverlayTold) };
      },
      keepUnusedDataFor: 0,
    }),
  }),
});

/** Whether a step waits for the word of a person. */
export const isQuestion = (step: Step): boolean =>
  (step.status === 'waiting' && typeof step.args_hash === 'string') || step.status === 'unknown';

export const isFailure = (error: unknown): error is Failure =>
  typeof error === 'object' && error !== null && 'code' in error && 'status' in error;

/** What went wrong, as a sentence. */
export function sentenceOf(error: unknown): string {
  if (!isFailure(error)) return 'Something went wrong in the page itself. Reload it.';
  return error.detail ? `${error.title}: ${error.detail}` : error.title;
}

export type { Workflow, Run, Step };
export const {
  useListWorkflowsQuery,
  useOpenWorkflowQuery,
  useLazyOpenWorkflowQuery,
  useDeleteWorkflowMutation,
  useCreateDraftMutation,
  useWriteDraftMutation,
  usePublishDraftMutation,
  useDiscardDraftMutation,
  useListVersionsQuery,
  useGetVersionQuery,
  useRestoreVersionMutation,
  useExportedQuery,
  useLazyExportedQuery,
  useStartWorkflowMutation,
  useListRunsQuery,
  useGetRunQuery,
  useGetRunDefinitionQuery,
  useOverlayQuery,
  useListStepsQuery,
  useLazyGetValueQuery,
  useGetHistoryQuery,
  useCancelRunMutation,
  usePauseRunMutation,
  useResumeRunMutation,
  useRerunRunMutation,
  useSignalRunMutation,
  useApproveStepMutation,
  useListApprovalsQuery,
  useCheckWorkflowMutation,
  useListNodeKindsQuery,
  useRenameNodeMutation,
  useListTriggersQuery,
  useCreateTriggerMutation,
  usePreviewTriggerMutation,
  useEnableTriggerMutation,
  useDisableTriggerMutation,
  useDeleteTriggerMutation,
  useRenewTriggerSecretMutation,
  useFireTriggerMutation,
  useListFiresQuery,
  useEvaluateExpressionMutation,
  useGetMeQuery,
  useGetWaysQuery,
  useListKeysQuery,
  useCreateKeyMutation,
  useRevokeKeyMutation,
  useGetHealthQuery,
  useGetAboutQuery,
  useListAgentsQuery,
  useGetAgentQuery,
  useListToolsQuery,
  useGetUsageQuery,
  useStartRunMutation,
  useReplaceTriggerMutation,
  useGetReadinessQuery,
} = api;
