/** The API as components use it: the generated endpoints with what they make stale, and a few that are put together. */
import type { Definition } from '../model/document';
import { schema, type Draft, type Run, type Step, type Workflow } from './schema';
import type { Failure } from './send';

/** Steps of a run that a person is asked about. */
export interface Question {
  run: Run;
  step: Step;
}

/** Runs that are looked through for questions. */
const RUNS = 20;

/** Headers of a call that may be sent twice and is done once. */
const once = () => ({ 'idempotency-key': crypto.randomUUID() });

const tagged = schema.enhanceEndpoints({
  addTagTypes: ['workflows', 'runs', 'run', 'keys', 'me'],
  endpoints: {
    listWorkflows: { providesTags: ['workflows'] },
    deleteWorkflow: { invalidatesTags: ['workflows'] },
    listRuns: { providesTags: ['runs'] },
    getRun: { providesTags: ['run'] },
    listSteps: { providesTags: ['run'] },
    getHistory: { providesTags: ['run'], keepUnusedDataFor: 0 },
    cancelRun: { invalidatesTags: ['runs', 'run'] },
    pauseRun: { invalidatesTags: ['runs', 'run'] },
    resumeRun: { invalidatesTags: ['runs', 'run'] },
    rerunRun: { invalidatesTags: ['runs', 'run'] },
    signalRun: { invalidatesTags: ['run'] },
    approveStep: { invalidatesTags: ['runs', 'run'] },
    startWorkflow: { invalidatesTags: ['runs', 'workflows'] },
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
}

/** What is saved: a new workflow, or the next version of one that is edited on the basis of a version. */
interface Save {
  id?: string;
  base?: number;
  text: string;
  type?: string;
}

export const api = tagged.injectEndpoints({
  endpoints: (build) => ({
    /** Saves a definition as it is written: as the draft, which becomes the next version where nothing is wrong with it. */
    saveDefinition: build.mutation<Saved, Save>({
      queryFn: async ({ id, base, text, type }, _, __, fetch) => {
        const drafted = await fetch({
          url: id ? `/api/v1/workflows/${id}` : '/api/v1/workflows',
          method: id ? 'PUT' : 'POST',
          params: { draft: true },
          headers: {
            'content-type': type ?? 'application/json',
            'if-match': base === undefined ? undefined : `"${base}"`,
            ...once(),
          },
          body: text,
        });
        if (drafted.error) return { error: drafted.error };
        const draft = drafted.data as Saved;
        if (draft.problems.length > 0) return { data: draft };
        const published = await fetch({
          url: `/api/v1/workflows/${draft.id}/publish`,
          method: 'POST',
          headers: once(),
          body: {},
        });
        return published.error ? { error: published.error } : { data: published.data as Saved };
      },
      invalidatesTags: ['workflows'],
    }),
    /** A workflow as it is edited: its draft where there is one, else its latest version. */
    openWorkflow: build.query<Workflow, string>({
      queryFn: async (id, _, __, fetch) => {
        const stored = await fetch(`/api/v1/workflows/${id}`);
        if (stored.error) return { error: stored.error };
        const edited = await fetch(`/api/v1/workflows/${id}/draft`);
        if (edited.error) return { error: edited.error };
        const workflow = stored.data as Workflow;
        const draft = edited.data as Draft;
        if (!draft.etag.startsWith('d') || draft.definition === null) return { data: workflow };
        const { version, status, created_at } = workflow;
        const { problems, updated_at } = draft;
        const definition = draft.definition as Record<string, unknown>;
        return { data: { ...definition, id, version, status, problems, created_at, updated_at } };
      },
      providesTags: ['workflows'],
      keepUnusedDataFor: 0,
    }),
    /** What a run runs: its definition, as it was recorded when the run began. */
    runDefinition: build.query<Definition, string>({
      query: (run) => ({ url: `/api/v1/runs/${run}/history`, params: { limit: 1 } }),
      transformResponse: (page: { items: { data: { plan: Definition } }[] }) => {
        const plan = page.items[0]?.data.plan;
        return plan ?? { name: '', nodes: [] };
      },
    }),
    /** What waits for a person, in all runs that wait. */
    questions: build.query<Question[], undefined>({
      queryFn: async (_, __, ___, fetch) => {
        const runs = await fetch({ url: '/api/v1/runs', params: { status: 'waiting', limit: RUNS } });
        if (runs.error) return { error: runs.error };
        const found: Question[] = [];
        for (const run of (runs.data as { items: Run[] }).items) {
          const steps = await fetch({ url: `/api/v1/runs/${run.id}/steps`, params: { limit: 1000 } });
          if (steps.error) return { error: steps.error };
          const asked = (steps.data as { items: Step[] }).items.filter(isQuestion);
          found.push(...asked.map((step) => ({ run, step })));
        }
        return { data: found };
      },
      providesTags: ['runs', 'run'],
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
  useDeleteWorkflowMutation,
  useSaveDefinitionMutation,
  useStartWorkflowMutation,
  useListRunsQuery,
  useGetRunQuery,
  useRunDefinitionQuery,
  useListStepsQuery,
  useGetHistoryQuery,
  useCancelRunMutation,
  usePauseRunMutation,
  useResumeRunMutation,
  useRerunRunMutation,
  useSignalRunMutation,
  useApproveStepMutation,
  useQuestionsQuery,
  useCheckWorkflowMutation,
  useListNodeKindsQuery,
  useEvaluateExpressionMutation,
  useGetMeQuery,
  useGetWaysQuery,
  useListKeysQuery,
  useCreateKeyMutation,
  useRevokeKeyMutation,
  useGetHealthQuery,
  useGetReadinessQuery,
} = api;
