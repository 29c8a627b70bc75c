import { emptyApi as api } from "./empty";
const injectedRtkApi = api.injectEndpoints({
  endpoints: (build) => ({
    listWorkflows: build.query<ListWorkflowsApiResponse, ListWorkflowsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
          search: queryArg.search,
          status: queryArg.status,
          include: queryArg.include,
        },
      }),
    }),
    createWorkflow: build.mutation<
      CreateWorkflowApiResponse,
      CreateWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows`,
        method: "POST",
        body: queryArg.definition,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
        params: {
          draft: queryArg.draft,
        },
      }),
    }),
    checkWorkflow: build.mutation<
      CheckWorkflowApiResponse,
      CheckWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/check`,
        method: "POST",
        body: queryArg.definition,
      }),
    }),
    getWorkflow: build.query<GetWorkflowApiResponse, GetWorkflowApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}`,
      }),
    }),
    updateWorkflow: build.mutation<
      UpdateWorkflowApiResponse,
      UpdateWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}`,
        method: "PUT",
        body: queryArg.definition,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
          "If-Match": queryArg["If-Match"],
        },
        params: {
          draft: queryArg.draft,
        },
      }),
    }),
    deleteWorkflow: build.mutation<
      DeleteWorkflowApiResponse,
      DeleteWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}`,
        method: "DELETE",
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    renameWorkflow: build.mutation<
      RenameWorkflowApiResponse,
      RenameWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}`,
        method: "PATCH",
        body: queryArg.rename,
      }),
    }),
    startWorkflow: build.mutation<
      StartWorkflowApiResponse,
      StartWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/start`,
        method: "POST",
        body: queryArg.start,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
        params: {
          wait: queryArg.wait,
        },
      }),
    }),
    importWorkflow: build.mutation<
      ImportWorkflowApiResponse,
      ImportWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/import`,
        method: "POST",
        body: queryArg.definition,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
        params: {
          draft: queryArg.draft,
        },
      }),
    }),
    getDraft: build.query<GetDraftApiResponse, GetDraftApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/draft`,
      }),
    }),
    saveDraft: build.mutation<SaveDraftApiResponse, SaveDraftApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/draft`,
        method: "PUT",
        body: queryArg.definition,
        headers: {
          "If-Match": queryArg["If-Match"],
          "If-None-Match": queryArg["If-None-Match"],
        },
      }),
    }),
    discardDraft: build.mutation<DiscardDraftApiResponse, DiscardDraftApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/draft`,
        method: "DELETE",
        headers: {
          "If-Match": queryArg["If-Match"],
          "If-None-Match": queryArg["If-None-Match"],
        },
      }),
    }),
    publishDraft: build.mutation<PublishDraftApiResponse, PublishDraftApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/publish`,
        method: "POST",
        body: queryArg.publish,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
          "If-Match": queryArg["If-Match"],
          "If-None-Match": queryArg["If-None-Match"],
        },
      }),
    }),
    listVersions: build.query<ListVersionsApiResponse, ListVersionsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/versions`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
        },
      }),
    }),
    getVersion: build.query<GetVersionApiResponse, GetVersionApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/versions/${encodeURIComponent(String(queryArg.n))}`,
      }),
    }),
    annotateVersion: build.mutation<
      AnnotateVersionApiResponse,
      AnnotateVersionApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/versions/${encodeURIComponent(String(queryArg.n))}`,
        method: "PATCH",
        body: queryArg.annotate,
      }),
    }),
    restoreVersion: build.mutation<
      RestoreVersionApiResponse,
      RestoreVersionApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/versions/${encodeURIComponent(String(queryArg.n))}/restore`,
        method: "POST",
        body: queryArg.nothing,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
          "If-Match": queryArg["If-Match"],
          "If-None-Match": queryArg["If-None-Match"],
        },
      }),
    }),
    duplicateWorkflow: build.mutation<
      DuplicateWorkflowApiResponse,
      DuplicateWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/duplicate`,
        method: "POST",
        body: queryArg.duplicate,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    exportWorkflow: build.query<
      ExportWorkflowApiResponse,
      ExportWorkflowApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/workflows/${encodeURIComponent(String(queryArg.id))}/export`,
        params: {
          format: queryArg.format,
          version: queryArg.version,
          draft: queryArg.draft,
        },
      }),
    }),
    listRuns: build.query<ListRunsApiResponse, ListRunsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
          workflow_id: queryArg.workflowId,
          status: queryArg.status,
          from: queryArg["from"],
          to: queryArg.to,
          at: queryArg.at,
          text: queryArg.text,
          order: queryArg.order,
        },
      }),
    }),
    startRun: build.mutation<StartRunApiResponse, StartRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs`,
        method: "POST",
        body: queryArg.startInline,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
        params: {
          wait: queryArg.wait,
        },
      }),
    }),
    getRun: build.query<GetRunApiResponse, GetRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}`,
      }),
    }),
    listSteps: build.query<ListStepsApiResponse, ListStepsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/steps`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
          after: queryArg.after,
          node: queryArg.node,
          status: queryArg.status,
          iteration: queryArg.iteration,
          generation: queryArg.generation,
        },
      }),
    }),
    getRunDefinition: build.query<
      GetRunDefinitionApiResponse,
      GetRunDefinitionApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/definition`,
      }),
    }),
    getOverlay: build.query<GetOverlayApiResponse, GetOverlayApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/overlay`,
        params: {
          generation: queryArg.generation,
        },
      }),
    }),
    getValue: build.query<GetValueApiResponse, GetValueApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/values/${encodeURIComponent(String(queryArg.hash))}`,
        headers: {
          Range: queryArg.range,
        },
      }),
    }),
    getHistory: build.query<GetHistoryApiResponse, GetHistoryApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/history`,
        headers: {
          "Last-Event-ID": queryArg["Last-Event-ID"],
        },
        params: {
          after: queryArg.after,
          cursor: queryArg.cursor,
          limit: queryArg.limit,
          said: queryArg.said,
        },
      }),
    }),
    cancelRun: build.mutation<CancelRunApiResponse, CancelRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/cancel`,
        method: "POST",
        body: queryArg.nothing,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    pauseRun: build.mutation<PauseRunApiResponse, PauseRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/pause`,
        method: "POST",
        body: queryArg.nothing,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    resumeRun: build.mutation<ResumeRunApiResponse, ResumeRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/resume`,
        method: "POST",
        body: queryArg.nothing,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    signalRun: build.mutation<SignalRunApiResponse, SignalRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/signal`,
        method: "POST",
        body: queryArg.signal,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    approveStep: build.mutation<ApproveStepApiResponse, ApproveStepApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/approve`,
        method: "POST",
        body: queryArg.approve,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    rerunRun: build.mutation<RerunRunApiResponse, RerunRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/rerun`,
        method: "POST",
        body: queryArg.rerun,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    exportRun: build.query<ExportRunApiResponse, ExportRunApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/${encodeURIComponent(String(queryArg.id))}/export`,
      }),
    }),
    cancelRuns: build.mutation<CancelRunsApiResponse, CancelRunsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/cancel`,
        method: "POST",
        body: queryArg.bulkCancel,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    rerunRuns: build.mutation<RerunRunsApiResponse, RerunRunsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/runs/rerun`,
        method: "POST",
        body: queryArg.bulkRerun,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    listApprovals: build.query<ListApprovalsApiResponse, ListApprovalsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/approvals`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
        },
      }),
    }),
    getUsage: build.query<GetUsageApiResponse, GetUsageApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/usage`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
          from: queryArg["from"],
          to: queryArg.to,
          by: queryArg.by,
        },
      }),
    }),
    listTriggers: build.query<ListTriggersApiResponse, ListTriggersApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/triggers`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
          workflow_id: queryArg.workflowId,
        },
      }),
    }),
    createTrigger: build.mutation<
      CreateTriggerApiResponse,
      CreateTriggerApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/triggers`,
        method: "POST",
        body: queryArg.newTrigger,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    previewTrigger: build.mutation<
      PreviewTriggerApiResponse,
      PreviewTriggerApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/triggers/preview`,
        method: "POST",
        body: queryArg.previewTrigger,
      }),
    }),
    getTrigger: build.query<GetTriggerApiResponse, GetTriggerApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}`,
      }),
    }),
    replaceTrigger: build.mutation<
      ReplaceTriggerApiResponse,
      ReplaceTriggerApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}`,
        method: "PUT",
        body: queryArg.replaceTrigger,
        headers: {
          "If-Match": queryArg["If-Match"],
        },
      }),
    }),
    deleteTrigger: build.mutation<
      DeleteTriggerApiResponse,
      DeleteTriggerApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}`,
        method: "DELETE",
      }),
    }),
    enableTrigger: build.mutation<
      EnableTriggerApiResponse,
      EnableTriggerApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}/enable`,
        method: "POST",
      }),
    }),
    disableTrigger: build.mutation<
      DisableTriggerApiResponse,
      DisableTriggerApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}/disable`,
        method: "POST",
      }),
    }),
    renewTriggerSecret: build.mutation<
      RenewTriggerSecretApiResponse,
      RenewTriggerSecretApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}/secret`,
        method: "POST",
      }),
    }),
    fireTrigger: build.mutation<FireTriggerApiResponse, FireTriggerApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}/fire`,
        method: "POST",
        body: queryArg.fireNow,
        headers: {
          "Idempotency-Key": queryArg["Idempotency-Key"],
        },
      }),
    }),
    listFires: build.query<ListFiresApiResponse, ListFiresApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/triggers/${encodeURIComponent(String(queryArg.id))}/fires`,
      }),
    }),
    deliver: build.mutation<DeliverApiResponse, DeliverApiArg>({
      query: (queryArg) => ({
        url: `/hooks/${encodeURIComponent(String(queryArg.project))}/${encodeURIComponent(String(queryArg.trigger))}`,
        method: "POST",
        body: queryArg.body,
      }),
    }),
    listNodeKinds: build.query<ListNodeKindsApiResponse, ListNodeKindsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/node-kinds`,
        headers: {
          "If-None-Match": queryArg["If-None-Match"],
        },
      }),
    }),
    listSecrets: build.query<ListSecretsApiResponse, ListSecretsApiArg>({
      query: () => ({ url: `/api/v1/secrets` }),
    }),
    listTools: build.query<ListToolsApiResponse, ListToolsApiArg>({
      query: () => ({ url: `/api/v1/tools` }),
    }),
    listModels: build.query<ListModelsApiResponse, ListModelsApiArg>({
      query: () => ({ url: `/api/v1/ai/models` }),
    }),
    listAgents: build.query<ListAgentsApiResponse, ListAgentsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/ai/agents`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
        },
      }),
    }),
    getAgent: build.query<GetAgentApiResponse, GetAgentApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/ai/agents/${encodeURIComponent(String(queryArg.id))}`,
      }),
    }),
    getExpressionReference: build.query<
      GetExpressionReferenceApiResponse,
      GetExpressionReferenceApiArg
    >({
      query: () => ({ url: `/api/v1/expressions/reference` }),
    }),
    getScope: build.mutation<GetScopeApiResponse, GetScopeApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/definitions/scope`,
        method: "POST",
        body: queryArg.askScope,
      }),
    }),
    renameNode: build.mutation<RenameNodeApiResponse, RenameNodeApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/definitions/rename`,
        method: "POST",
        body: queryArg.askRename,
      }),
    }),
    evaluateExpression: build.mutation<
      EvaluateExpressionApiResponse,
      EvaluateExpressionApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/expressions/evaluate`,
        method: "POST",
        body: queryArg.evaluate,
      }),
    }),
    listKeys: build.query<ListKeysApiResponse, ListKeysApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/keys`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
        },
      }),
    }),
    createKey: build.mutation<CreateKeyApiResponse, CreateKeyApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/keys`,
        method: "POST",
        body: queryArg.newKey,
      }),
    }),
    revokeKey: build.mutation<RevokeKeyApiResponse, RevokeKeyApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/keys/${encodeURIComponent(String(queryArg.id))}`,
        method: "DELETE",
      }),
    }),
    rotateKey: build.mutation<RotateKeyApiResponse, RotateKeyApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/keys/${encodeURIComponent(String(queryArg.id))}/rotate`,
        method: "POST",
        body: queryArg.rotateKey,
      }),
    }),
    listAudit: build.query<ListAuditApiResponse, ListAuditApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/audit`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
        },
      }),
    }),
    listProjects: build.query<ListProjectsApiResponse, ListProjectsApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/projects`,
        params: {
          limit: queryArg.limit,
          cursor: queryArg.cursor,
        },
      }),
    }),
    createProject: build.mutation<
      CreateProjectApiResponse,
      CreateProjectApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/projects`,
        method: "POST",
        body: queryArg.newProject,
      }),
    }),
    getProject: build.query<GetProjectApiResponse, GetProjectApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/projects/${encodeURIComponent(String(queryArg.id))}`,
      }),
    }),
    deleteProject: build.mutation<
      DeleteProjectApiResponse,
      DeleteProjectApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/projects/${encodeURIComponent(String(queryArg.id))}`,
        method: "DELETE",
      }),
    }),
    limitProject: build.mutation<LimitProjectApiResponse, LimitProjectApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/projects/${encodeURIComponent(String(queryArg.id))}/limits`,
        method: "PUT",
        body: queryArg.limitProject,
      }),
    }),
    pauseProject: build.mutation<PauseProjectApiResponse, PauseProjectApiArg>({
      query: (queryArg) => ({
        url: `/api/v1/projects/${encodeURIComponent(String(queryArg.id))}/pause`,
        method: "POST",
      }),
    }),
    resumeProject: build.mutation<
      ResumeProjectApiResponse,
      ResumeProjectApiArg
    >({
      query: (queryArg) => ({
        url: `/api/v1/projects/${encodeURIComponent(String(queryArg.id))}/resume`,
        method: "POST",
      }),
    }),
    getMe: build.query<GetMeApiResponse, GetMeApiArg>({
      query: () => ({ url: `/api/v1/me` }),
    }),
    getWays: build.query<GetWaysApiResponse, GetWaysApiArg>({
      query: () => ({ url: `/api/v1/auth` }),
    }),
    getAbout: build.query<GetAboutApiResponse, GetAboutApiArg>({
      query: () => ({ url: `/api/v1/about` }),
    }),
    getDescription: build.query<
      GetDescriptionApiResponse,
      GetDescriptionApiArg
    >({
      query: () => ({ url: `/api/v1/openapi.json` }),
    }),
    getExplorer: build.query<GetExplorerApiResponse, GetExplorerApiArg>({
      query: () => ({ url: `/docs` }),
    }),
    getExplorerStyle: build.query<
      GetExplorerStyleApiResponse,
      GetExplorerStyleApiArg
    >({
      query: () => ({ url: `/docs/explorer.css` }),
    }),
    getExplorerScript: build.query<
      GetExplorerScriptApiResponse,
      GetExplorerScriptApiArg
    >({
      query: () => ({ url: `/docs/explorer.js` }),
    }),
    getHealthOfApi: build.query<
      GetHealthOfApiApiResponse,
      GetHealthOfApiApiArg
    >({
      query: () => ({ url: `/api/v1/health` }),
    }),
    getHealth: build.query<GetHealthApiResponse, GetHealthApiArg>({
      query: () => ({ url: `/health` }),
    }),
    getReadiness: build.query<GetReadinessApiResponse, GetReadinessApiArg>({
      query: () => ({ url: `/ready` }),
    }),
    getMetrics: build.query<GetMetricsApiResponse, GetMetricsApiArg>({
      query: () => ({ url: `/metrics` }),
    }),
  }),
  overrideExisting: false,
});
export { injectedRtkApi as schema };
export type ListWorkflowsApiResponse =
  /** status 200 A page. */ PageOfWorkflowLine;
export type ListWorkflowsApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
  /** Those whose name or description has words that begin so, all of them; or the one of this id. */
  search?: string;
  /** Those whose latest run has this status; `draft` are those without a run. */
  status?: string;
  /** `summary`: with the latest runs, and with the draft. */
  include?: Include;
};
export type CreateWorkflowApiResponse =
  /** status 201 Version 1 is saved. */ SavedWorkflow;
export type CreateWorkflowApiArg = {
  /** Saves it as the draft, whatever is wrong with it. Nothing is published. */
  draft?: boolean;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  definition: Definition;
};
export type CheckWorkflowApiResponse =
  /** status 200 It was looked at; `problems` says what is wrong. */ CheckedWorkflow;
export type CheckWorkflowApiArg = {
  definition: Definition;
};
export type GetWorkflowApiResponse = /** status 200 The workflow. */ Workflow;
export type GetWorkflowApiArg = {
  id: string;
};
export type UpdateWorkflowApiResponse =
  /** status 200 The next version is saved. */ SavedWorkflow;
export type UpdateWorkflowApiArg = {
  id: string;
  /** Saves it as the draft, whatever is wrong with it. Nothing is published. */
  draft?: boolean;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  /** What the change was made on, by the `ETag` that was read: a version, such as `"3"`, or a draft, such as `"d7"`. */
  "If-Match"?: string;
  definition: Definition;
};
export type DeleteWorkflowApiResponse = unknown;
export type DeleteWorkflowApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
};
export type RenameWorkflowApiResponse =
  /** status 200 The workflow. */ Workflow;
export type RenameWorkflowApiArg = {
  id: string;
  rename: Rename;
};
export type StartWorkflowApiResponse =
  | /** status 200 The run is recorded; with `wait` the whole run. */ Started
  | RunItem;
export type StartWorkflowApiArg = {
  id: string;
  /** A duration such as `30s`, at most `5m`: the answer is the whole run, once it has ended or the time is up. */
  wait?: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  start: Start;
};
export type ImportWorkflowApiResponse =
  /** status 201 It is made. */ SavedWorkflow;
export type ImportWorkflowApiArg = {
  /** Saves it as the draft, whatever is wrong with it. Nothing is published. */
  draft?: boolean;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  definition: Definition;
};
export type GetDraftApiResponse = /** status 200 What is edited. */ Draft;
export type GetDraftApiArg = {
  id: string;
};
export type SaveDraftApiResponse = /** status 200 It is saved. */ SavedWorkflow;
export type SaveDraftApiArg = {
  id: string;
  /** What the change was made on, by the `ETag` that was read: a version, such as `"3"`, or a draft, such as `"d7"`. */
  "If-Match"?: string;
  /** Of a read, the `ETag` that the caller has: where it is still right, the answer is 304 without a body. Of a draft that is saved, `*`: there is none yet. */
  "If-None-Match"?: string;
  definition: Definition;
};
export type DiscardDraftApiResponse = unknown;
export type DiscardDraftApiArg = {
  id: string;
  /** What the change was made on, by the `ETag` that was read: a version, such as `"3"`, or a draft, such as `"d7"`. */
  "If-Match"?: string;
  /** Of a read, the `ETag` that the caller has: where it is still right, the answer is 304 without a body. Of a draft that is saved, `*`: there is none yet. */
  "If-None-Match"?: string;
};
export type PublishDraftApiResponse =
  /** status 200 It is published. */ SavedWorkflow;
export type PublishDraftApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  /** What the change was made on, by the `ETag` that was read: a version, such as `"3"`, or a draft, such as `"d7"`. */
  "If-Match"?: string;
  /** Of a read, the `ETag` that the caller has: where it is still right, the answer is 304 without a body. Of a draft that is saved, `*`: there is none yet. */
  "If-None-Match"?: string;
  publish: Publish;
};
export type ListVersionsApiResponse =
  /** status 200 A page. */ PageOfWorkflowVersionLine;
export type ListVersionsApiArg = {
  id: string;
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
};
export type GetVersionApiResponse =
  /** status 200 The version. */ WorkflowVersion;
export type GetVersionApiArg = {
  id: string;
  n: number;
};
export type AnnotateVersionApiResponse =
  /** status 200 The version. */ WorkflowVersion;
export type AnnotateVersionApiArg = {
  id: string;
  n: number;
  annotate: Annotate;
};
export type RestoreVersionApiResponse =
  /** status 200 It is the draft. */ SavedWorkflow;
export type RestoreVersionApiArg = {
  id: string;
  n: number;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  /** What the change was made on, by the `ETag` that was read: a version, such as `"3"`, or a draft, such as `"d7"`. */
  "If-Match"?: string;
  /** Of a read, the `ETag` that the caller has: where it is still right, the answer is 304 without a body. Of a draft that is saved, `*`: there is none yet. */
  "If-None-Match"?: string;
  nothing: Nothing;
};
export type DuplicateWorkflowApiResponse =
  /** status 201 It is made. */ SavedWorkflow;
export type DuplicateWorkflowApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  duplicate: Duplicate;
};
export type ExportWorkflowApiResponse =
  /** status 200 A document. */ any | null;
export type ExportWorkflowApiArg = {
  id: string;
  /** Wins over `Accept`. */
  format?: Written;
  /** A version by its number; the latest unless it is given. */
  version?: number;
  /** The draft instead of a version. */
  draft?: boolean;
};
export type ListRunsApiResponse = /** status 200 A page. */ PageOfRunItem;
export type ListRunsApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
  /** Those of a stored workflow. */
  workflowId?: string;
  /** Those of a status; given several times, those of any of them. */
  status?: string[];
  /** Created then or later: an instant. */
  from?: string;
  /** Created before then: an instant. */
  to?: string;
  /** Where the list begins: with the first that was created then or before; of the oldest first, then or later. */
  at?: string;
  /** Those with these words, or words that begin so, in their id, the name of what they run, or their error; or a workflow's id. */
  text?: string;
  /** `newest` first, unless it is `oldest`. */
  order?: Order;
};
export type StartRunApiResponse =
  | /** status 200 The run is recorded; with `wait` the whole run. */ Started
  | RunItem;
export type StartRunApiArg = {
  /** A duration such as `30s`, at most `5m`: the answer is the whole run, once it has ended or the time is up. */
  wait?: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  startInline: StartInline;
};
export type GetRunApiResponse = /** status 200 The run. */ RunItem;
export type GetRunApiArg = {
  id: string;
};
export type ListStepsApiResponse = /** status 200 A page. */ StepsPage;
export type ListStepsApiArg = {
  id: string;
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
  /** Only those that changed after this seq: the `seq` of an earlier answer, or 0. */
  after?: string;
  /** Only those of a node. */
  node?: string;
  /** Only those of a status, as it is now. */
  status?: StepStatus;
  /** Only those of an iteration, and of those inside of it: `3` finds `3` and `3.17`. */
  iteration?: string;
  /** Only those of a generation. */
  generation?: number;
};
export type GetRunDefinitionApiResponse =
  /** status 200 The definition. */ RunDefinition;
export type GetRunDefinitionApiArg = {
  id: string;
};
export type GetOverlayApiResponse =
  /** status 200 The overlay. */ OverlayAnswer;
export type GetOverlayApiArg = {
  id: string;
  /** Counts from 1; the latest unless it is given. */
  generation?: number;
};
export type GetValueApiResponse =
  | (/** status 200 The value. */ any | null)
  | (
      | /** status 206 A part of its text, which is no JSON by itself. */ any
      | null
    );
export type GetValueApiArg = {
  id: string;
  hash: string;
  /** One part of it, such as `bytes=0-1023`; several count as the whole. */
  range?: string;
};
export type GetHistoryApiResponse =
  /** status 200 A page, or a stream. */ PageOfEvent;
export type GetHistoryApiArg = {
  id: string;
  /** Events after this seq. */
  after?: string;
  /** `next` of the page before; it wins over `after`. */
  cursor?: string;
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** A stream tells also what agents say while they say it. */
  said?: boolean;
  /** Resumes a stream after this seq; wins over `after`. */
  "Last-Event-ID"?: string;
};
export type CancelRunApiResponse =
  /** status 200 The run, as the operation leaves it; repeated, as it is now. */ Run;
export type CancelRunApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  nothing: Nothing;
};
export type PauseRunApiResponse =
  /** status 200 The run, as the operation leaves it; repeated, as it is now. */ Run;
export type PauseRunApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  nothing: Nothing;
};
export type ResumeRunApiResponse =
  /** status 200 The run, as the operation leaves it; repeated, as it is now. */ Run;
export type ResumeRunApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  nothing: Nothing;
};
export type SignalRunApiResponse =
  /** status 200 The run, as the operation leaves it; repeated, as it is now. */ Run;
export type SignalRunApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  signal: Signal;
};
export type ApproveStepApiResponse =
  /** status 200 The run, as the operation leaves it; repeated, as it is now. */ Run;
export type ApproveStepApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  approve: Approve;
};
export type RerunRunApiResponse =
  /** status 200 The run, as the operation leaves it; repeated, as it is now. */ Run;
export type RerunRunApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  rerun: Rerun;
};
export type ExportRunApiResponse =
  /** status 200 `format`, `run` and `events`. */ ExportedRun;
export type ExportRunApiArg = {
  id: string;
};
export type CancelRunsApiResponse =
  /** status 200 What became of each run. */ BulkView;
export type CancelRunsApiArg = {
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  bulkCancel: BulkCancel;
};
export type RerunRunsApiResponse =
  /** status 200 What became of each run. */ BulkView;
export type RerunRunsApiArg = {
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  bulkRerun: BulkRerun;
};
export type ListApprovalsApiResponse = /** status 200 A page. */ PageOfApproval;
export type ListApprovalsApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
};
export type GetUsageApiResponse = /** status 200 Sums. */ UsagePage;
export type GetUsageApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
  /** The first day, of UTC; 30 days up to `to` unless it is given. */
  from?: string;
  /** The last day, of UTC; today unless it is given. At most 400 days. */
  to?: string;
  /** What sums are divided by; given several times, by all of them. By day unless it is given. */
  by?: Dimension[];
};
export type ListTriggersApiResponse = /** status 200 A page. */ PageOfTrigger;
export type ListTriggersApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
  /** Those of a workflow. */
  workflowId?: string;
};
export type CreateTriggerApiResponse =
  /** status 201 The trigger; repeated, as it is now and without its secret. */ TriggerMade;
export type CreateTriggerApiArg = {
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  newTrigger: NewTrigger;
};
export type PreviewTriggerApiResponse =
  /** status 200 They were looked at. */ TriggerPreview;
export type PreviewTriggerApiArg = {
  previewTrigger: PreviewTrigger;
};
export type GetTriggerApiResponse = /** status 200 The trigger. */ Trigger;
export type GetTriggerApiArg = {
  id: string;
};
export type ReplaceTriggerApiResponse =
  /** status 200 The trigger, as it is now. */ TriggerMade;
export type ReplaceTriggerApiArg = {
  id: string;
  /** What the change was made on, by the `ETag` that was read: a version, such as `"3"`, or a draft, such as `"d7"`. */
  "If-Match"?: string;
  replaceTrigger: ReplaceTrigger;
};
export type DeleteTriggerApiResponse = unknown;
export type DeleteTriggerApiArg = {
  id: string;
};
export type EnableTriggerApiResponse =
  /** status 200 The trigger, as it is now. */ TriggerMade;
export type EnableTriggerApiArg = {
  id: string;
};
export type DisableTriggerApiResponse =
  /** status 200 The trigger, as it is now. */ TriggerMade;
export type DisableTriggerApiArg = {
  id: string;
};
export type RenewTriggerSecretApiResponse =
  /** status 200 The trigger, as it is now. */ TriggerMade;
export type RenewTriggerSecretApiArg = {
  id: string;
};
export type FireTriggerApiResponse =
  /** status 200 The run is recorded. */ Started;
export type FireTriggerApiArg = {
  id: string;
  /** Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done once, and answered again; another one is 422 `idempotency_key_reused`. */
  "Idempotency-Key"?: string;
  fireNow: FireNow;
};
export type ListFiresApiResponse =
  /** status 200 All that are kept. */ PageOfFire;
export type ListFiresApiArg = {
  id: string;
};
export type DeliverApiResponse =
  | /** status 200 The run, which its sender has waited for. */ Delivered
  | /** status 202 The run is recorded, or none was to be started. */ Delivered;
export type DeliverApiArg = {
  project: string;
  trigger: string;
  body: any | null;
};
export type ListNodeKindsApiResponse =
  /** status 200 All of them. */ PageOfNodeKindView;
export type ListNodeKindsApiArg = {
  /** Of a read, the `ETag` that the caller has: where it is still right, the answer is 304 without a body. Of a draft that is saved, `*`: there is none yet. */
  "If-None-Match"?: string;
};
export type ListSecretsApiResponse = /** status 200 All of them. */ SecretNames;
export type ListSecretsApiArg = void;
export type ListToolsApiResponse =
  /** status 200 All of them. */ PageOfToolOfAgents;
export type ListToolsApiArg = void;
export type ListModelsApiResponse =
  /** status 200 All of them. */ PageOfProviderView;
export type ListModelsApiArg = void;
export type ListAgentsApiResponse = /** status 200 A page. */ PageOfAgent;
export type ListAgentsApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
};
export type GetAgentApiResponse = /** status 200 The agent. */ Agent;
export type GetAgentApiArg = {
  id: string;
};
export type GetExpressionReferenceApiResponse =
  /** status 200 All of them. */ ExpressionReference;
export type GetExpressionReferenceApiArg = void;
export type GetScopeApiResponse = /** status 200 The names, by place. */ Scope;
export type GetScopeApiArg = {
  askScope: AskScope;
};
export type RenameNodeApiResponse =
  /** status 200 The definition. */ RenamedDefinition;
export type RenameNodeApiArg = {
  askRename: AskRename;
};
export type EvaluateExpressionApiResponse =
  /** status 200 What it gave. */ Evaluated;
export type EvaluateExpressionApiArg = {
  evaluate: Evaluate;
};
export type ListKeysApiResponse = /** status 200 A page. */ PageOfKey;
export type ListKeysApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
};
export type CreateKeyApiResponse =
  /** status 201 The key, with its secret. */ KeyMade;
export type CreateKeyApiArg = {
  newKey: NewKey;
};
export type RevokeKeyApiResponse = unknown;
export type RevokeKeyApiArg = {
  id: string;
};
export type RotateKeyApiResponse =
  /** status 200 The key, with its new secret. */ KeyMade;
export type RotateKeyApiArg = {
  id: string;
  rotateKey: RotateKey;
};
export type ListAuditApiResponse = /** status 200 A page. */ PageOfAuditEntry;
export type ListAuditApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
};
export type ListProjectsApiResponse = /** status 200 A page. */ PageOfProject;
export type ListProjectsApiArg = {
  /** Items of a page; 100 unless it is given. */
  limit?: number;
  /** Where the page begins: `next` of the page before. */
  cursor?: string;
};
export type CreateProjectApiResponse = /** status 201 The project. */ Project;
export type CreateProjectApiArg = {
  newProject: NewProject;
};
export type GetProjectApiResponse = /** status 200 The project. */ Project;
export type GetProjectApiArg = {
  id: string;
};
export type DeleteProjectApiResponse = unknown;
export type DeleteProjectApiArg = {
  id: string;
};
export type LimitProjectApiResponse = /** status 200 The project. */ Project;
export type LimitProjectApiArg = {
  id: string;
  limitProject: LimitProject;
};
export type PauseProjectApiResponse = /** status 200 The project. */ Project;
export type PauseProjectApiArg = {
  id: string;
};
export type ResumeProjectApiResponse = /** status 200 The project. */ Project;
export type ResumeProjectApiArg = {
  id: string;
};
export type GetMeApiResponse = /** status 200 The caller. */ Me;
export type GetMeApiArg = void;
export type GetWaysApiResponse = /** status 200 The ways. */ Ways;
export type GetWaysApiArg = void;
export type GetAboutApiResponse = /** status 200 The server. */ About;
export type GetAboutApiArg = void;
export type GetDescriptionApiResponse =
  /** status 200 An OpenAPI document. */ any | null;
export type GetDescriptionApiArg = void;
export type GetExplorerApiResponse = /** status 200 The page. */ string;
export type GetExplorerApiArg = void;
export type GetExplorerStyleApiResponse = /** status 200 The style. */ string;
export type GetExplorerStyleApiArg = void;
export type GetExplorerScriptApiResponse = /** status 200 The script. */ string;
export type GetExplorerScriptApiArg = void;
export type GetHealthOfApiApiResponse =
  /** status 200 The server answers. */ Alive;
export type GetHealthOfApiApiArg = void;
export type GetHealthApiResponse = /** status 200 The server answers. */ Alive;
export type GetHealthApiArg = void;
export type GetReadinessApiResponse =
  /** status 200 Work may be sent here. */ Ready;
export type GetReadinessApiArg = void;
export type GetMetricsApiResponse = /** status 200 Metrics. */ string;
export type GetMetricsApiArg = void;
export type Problem = {
  /** The node's id, when the mistake is in a node. */
  node: string | null;
  /** Where in the document: `nodes[2].config.prompt`. */
  path: string;
  /** Stable, for programs: `unknown_agent`. */
  code: string;
  /** A sentence for people. */
  message: string;
};
export type LastRun = {
  id: string;
  status: string;
  started_at: string;
  /** How long it took; null while it goes on. */
  ms: number | null;
};
export type DraftLine = {
  /** As `GET …/draft` answers it. */
  etag: string;
  problems: Problem[];
};
export type WorkflowLine = {
  id: string;
  name: string;
  description: string | null;
  /** The latest published version; 0 before the first. */
  version: number;
  /** That of its latest run; `draft` before the first. */
  status: string;
  problems: Problem[];
  created_at: string;
  /** When this version was made. */
  updated_at: string;
  /** With `include=summary`: its latest runs, the newest first. */
  last_runs?: LastRun[] | null;
  /** With `include=summary`: its draft, if it has one. */
  draft?: DraftLine | null;
};
export type PageOfWorkflowLine = {
  items: WorkflowLine[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type Checks = {
  sidecar: string;
  /** Whether it takes a write. */
  catalog: string;
  /** Whether the state store takes a write. */
  state: string;
  server: string;
};
export type ProblemDetails = {
  /** `urn:callboard:problem:` and the code. */
  type: string;
  /** The status in words. */
  title: string;
  status: number;
  /** A sentence for people. */
  detail?: string | null;
  /** Stable, for programs. */
  code: string;
  /** Every mistake of a definition, a body, a query or an input. */
  problems?: Problem[] | null;
  /** Of 412: what there is now. */
  current?: any;
  /** Of `GET /ready`: what does not answer. */
  checks?: Checks | null;
};
export type Include = "summary";
export type SavedWorkflow = {
  id: string;
  name: string;
  /** The latest published version; 0 before the first. */
  version: number;
  /** That of its latest run; `draft` before the first. */
  status: string;
  /** Of what was saved. */
  problems: Problem[];
  /** The tag of the draft, where that was saved. */
  draft?: string | null;
};
export type Position = {
  x: number;
  y: number;
};
export type Backoff = "exponential" | "constant";
export type Duration = string;
export type RetryPolicy = {
  max_retries: number;
  backoff: Backoff;
  /** First delay. */
  initial: Duration;
  /** Largest delay. */
  max: Duration;
  /** Spread the delays, so that many retries do not meet. */
  jitter: boolean;
};
export type OnError =
  | "fail"
  | "branch"
  | {
      default: any | null;
    };
export type EffectMode = "retry" | "at_most_once";
export type Join =
  | "all"
  | "any"
  | {
      n: number;
    }
  | "settle";
export type Worker = "internal" | "external";
export type AgentNode = {
  agent: string;
  /** Template of the task's text. */
  prompt: string;
  /** JSON Schema of the answer; without one the answer is text. */
  output_schema?: any;
  worker?: Worker;
};
export type Rule =
  | {
      /** A dotted path into the targets so far, else into the node's data; `"."` is the data itself. */
      source: string;
      target: string;
      type: "map";
      config: {
        value: string;
      };
    }
  | {
      /** A dotted path into the targets so far, else into the node's data; `"."` is the data itself. */
      source: string;
      target: string;
      type: "filter";
      config: {
        if: string;
      };
    }
  | {
      /** A dotted path into the targets so far, else into the node's data; `"."` is the data itself. */
      source: string;
      target: string;
      type: "reduce";
      config: {
        initial: any | null;
        value: string;
      };
    };
export type TransformNode = {
  /** Expression of the data the rules read; default: the run's input. */
  input?: string | null;
  rules: Rule[];
};
export type ConditionNode = {
  /** Expression. */
  if: string;
};
export type EdgeConfig = {
  /** `"true"`/`"false"` of a condition, `"approved"`/`"rejected"` of an approval, `"error"` of any node with `on_error: branch`. */
  branch?: string | null;
};
export type Edge = {
  /** Free id of editors. */
  id?: string | null;
  source: string;
  target: string;
  config?: EdgeConfig;
};
export type Body = {
  nodes: Node[];
  edges?: Edge[];
  /** Template of one iteration's output; default as for the workflow. */
  output?: any;
};
export type ForEachNode = {
  /** Expression of a list. */
  items: string;
  /** How many iterations run at once. */
  parallel?: number;
  body: Body;
};
export type LoopNode = {
  /** Expression over `last` (the body's output) and `index`. */
  until: string;
  /** How many times at most. Reaching it ends the loop; it is not an error. */
  max: number;
  body: Body;
};
export type Delay = string;
export type WaitNode = {
  for?: Delay | null;
  /** RFC 3339, or a template that renders to it. */
  until?: string | null;
};
export type SignalNode = {
  name: string;
  timeout?: Duration | null;
};
export type ApprovalNode = {
  title: string;
  /** Template. */
  detail?: any;
  timeout?: Duration | null;
  /** The node that comes to be by this approval: what it will send is shown with the question, and covered by the answer. */
  guards?: string | null;
};
export type HttpMethod = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
export type HttpAnswerAs = ("json" | "text") | "auto" | "bytes";
export type HttpAnswer = {
  as?: HttpAnswerAs;
  /** The charset of its bytes, in place of the one that it declares. */
  charset?: string | null;
};
export type HttpNode = {
  method?: HttpMethod;
  /** Template. */
  url: string;
  /** Templates; `secret://name` is resolved right before the call. A list is sent as several headers of the name. */
  headers?: {
    [key: string]: any;
  };
  /** Parameters of the URL, behind those that stand in it. A list repeats the name, null leaves it out. */
  query?: {
    [key: string]: any;
  };
  /** A text is sent as it is, anything else as JSON. */
  body?: any;
  /** Status codes that count as success; default: any 2xx. */
  expect?: number[];
  /** Bytes of the largest answer that is read; default: 1 MiB. */
  max_body?: number | null;
  /** A body that is JSON whatever its type, texts included. */
  json?: any;
  /** A body that is a text. */
  text?: any;
  /** A body as `application/x-www-form-urlencoded`: an object of fields, or a template of one. */
  form?: any;
  /** A body as `multipart/form-data`: an object of fields and files, or a template of one. */
  multipart?: any;
  /** A body of bytes: base64, or an object with `base64` and `type`. */
  bytes?: any;
  /** How the answer is read; default: as its content type says. */
  answer?: HttpAnswer;
};
export type Node =
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "agent";
      config: AgentNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "transform";
      config: TransformNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "condition";
      config: ConditionNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "for_each";
      config: ForEachNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "loop";
      config: LoopNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "wait";
      config: WaitNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "signal";
      config: SignalNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "approval";
      config: ApprovalNode;
    }
  | {
      /** Unique across the whole definition, bodies included. */
      id: string;
      name?: string | null;
      position?: Position | null;
      /** How a failed attempt is tried again. */
      retry?: RetryPolicy | null;
      /** Bound on one attempt. */
      timeout?: Duration | null;
      on_error?: OnError;
      effect?: EffectMode;
      /** When a node with several incoming edges starts. */
      join?: Join;
      /** Left out of runs: it is recorded as skipped, and its edges without a branch go on. */
      disabled?: boolean;
      type: "http";
      config: HttpNode;
    };
export type OnBreach = "stop" | "wrap_up";
export type Budget = {
  /** Model calls. */
  calls?: number | null;
  tokens?: number | null;
  /** Money, in millionths of a unit of the currency that the server's prices are in: 2500000 is 2.50. */
  cost?: number | null;
  /** Wall time; it stands still while the run is paused. */
  seconds?: number | null;
  on_breach?: OnBreach;
};
export type Retention =
  | Duration
  | {
      completed?: Duration | null;
      failed?: Duration | null;
      cancelled?: Duration | null;
    };
export type Settings = {
  budget?: Budget | null;
  /** Steps of one run that are dispatched at once. */
  parallel?: number | null;
  /** How long an ended run stays in the state store; what is not said is the server's setting. */
  retention?: Retention | null;
};
export type Definition = {
  name: string;
  description?: string | null;
  /** JSON Schema that the run's input must satisfy. */
  input?: any;
  nodes?: Node[];
  edges?: Edge[];
  /** Template of the run's output. Default: the last node's output, or an object by node id if there are several. */
  output?: any;
  settings?: Settings;
  /** Free data of editors; not interpreted. */
  metadata?: {
    [key: string]: any;
  };
};
export type CheckedWorkflow = {
  name: string;
  /** Everything that is wrong with it; it could be saved and started if this is empty. */
  problems: Problem[];
};
export type Workflow = {
  id: string;
  /** The latest published one; 0 of a draft that was never published. */
  version: number;
  /** That of its latest run; `draft` before the first. */
  status: string;
  problems: Problem[];
  created_at: string;
  /** When this version was made. */
  updated_at: string;
  [key: string]: any;
};
export type Rename = {
  /** It stays as it is unless it is given. */
  name?: string | null;
  /** Null for none; it stays as it is unless it is given. */
  description?: string | null;
};
export type Status =
  | "pending"
  | "running"
  | "waiting"
  | "paused"
  | "completed"
  | "failed"
  | "cancelled";
export type Started = {
  run_id: string;
  workflow_id: string | null;
  status: Status;
};
export type RunError = {
  code: string;
  message: string;
  node: string | null;
};
export type Usage = {
  calls: number;
  prompt_tokens: number;
  completion_tokens: number;
  /** A provider did not say how many tokens it used: some of them are a guess. */
  estimated?: boolean;
  /** In millionths of a unit of the currency that the server's prices are in; null where no call's model had a price. */
  cost: number | null;
  /** Calls that are not in the cost: their models had no price. */
  unpriced_calls?: number;
};
export type Trial = {
  /** The node behind which it ends. */
  until?: string | null;
  /** The one node that runs. */
  only?: string | null;
  /** The nodes whose outputs were given. */
  pinned?: string[];
};
export type Run = {
  id: string;
  /** The stored workflow it was started from; null where the definition came along. */
  workflow_id: string | null;
  version: number;
  status: Status;
  /** Counts from 1; a rerun opens the next. */
  generation: number;
  /** Not in lists. */
  input?: any;
  /** Null until it has completed; not in lists. */
  output?: any;
  error: RunError | null;
  usage: Usage;
  created_at: string;
  /** Of the current generation. */
  started_at: string | null;
  ended_at: string | null;
  /** How it is tried: of a run that is not what its definition alone says. */
  trial?: Trial | null;
  /** The id again, as a start answers it; not in lists. */
  run_id?: string | null;
  /** Of its last event, where the run itself was asked. */
  seq?: number | null;
};
export type UnreadableRun = {
  id: string;
  /** The id again, as a start answers it. */
  run_id: string;
  workflow_id: string | null;
  version: number | null;
  status: string;
  created_at: string;
  ended_at: string | null;
  /** True. */
  unreadable: boolean;
};
export type RunItem = Run | UnreadableRun;
export type Pin = {
  /** Any JSON; either this or `run`. */
  value?: any;
  /** The run whose output it is: its name, or the whole id. */
  run?: string | null;
  /** The latest in which the node completed, unless it is given. */
  generation?: number | null;
  /** Of a node in a body: `"2"`, or `"2.0"` in a body within a body. */
  iteration?: string | null;
};
export type Start = {
  /** Any JSON that fits the workflow's schema; `{}` unless it is given. */
  input?: any;
  /** The draft is run instead of the latest version, as version 0; this takes the role of an editor. */
  draft?: boolean;
  /** As in `POST /runs`, of a draft: what is published is not tried. */
  pins?: {
    [key: string]: Pin;
  };
  /** As `pins`. */
  until?: string | null;
  /** As `pins`. */
  only?: string | null;
};
export type Draft = {
  id: string;
  /** Names what a change is made on: `d7` is a draft, `v3` a version. */
  etag: string;
  /** The latest published version; 0 before the first. */
  version: number;
  /** The version that was the latest when the draft was begun. */
  base: number;
  /** Who saved it. */
  author: string | null;
  updated_at: string;
  /** Of what it says: neither positions nor the order of fields count. */
  hash: string;
  /** `application/yaml` where its text is kept as it came. */
  media_type: string;
  /** What stands against publishing it. */
  problems: Problem[];
  definition: any | null;
};
export type Publish = {
  /** What is new; up to 2,000 characters. */
  note?: string | null;
  /** The version that it is to follow; any unless it is given. */
  version?: number | null;
};
export type WorkflowVersionLine = {
  version: number;
  name: string;
  /** What is new in it, in its author's words. */
  note: string | null;
  /** Who published it. */
  author: string | null;
  created_at: string;
  /** Of what it says: neither positions nor the order of fields count. */
  hash: string;
  /** Why it can't be started: of a version that was saved as a draft by a release before this one. */
  problems: Problem[];
  /** How many runs of it have not ended. */
  open_runs: number;
};
export type PageOfWorkflowVersionLine = {
  items: WorkflowVersionLine[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type WorkflowVersion = {
  version: number;
  name: string;
  /** What is new in it, in its author's words. */
  note: string | null;
  /** Who published it. */
  author: string | null;
  created_at: string;
  /** Of what it says: neither positions nor the order of fields count. */
  hash: string;
  /** Why it can't be started: of a version that was saved as a draft by a release before this one. */
  problems: Problem[];
  /** How many runs of it have not ended. */
  open_runs: number;
  definition: any | null;
};
export type Annotate = {
  /** What is new in it; up to 2,000 characters, null for nothing. */
  note?: string | null;
};
export type Nothing = object;
export type Duplicate = {
  /** What it is called; `copy of` and the name of the other one, unless it is given. */
  name?: string | null;
};
export type Written = "yaml" | "json";
export type PageOfRunItem = {
  items: RunItem[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type Order = "newest" | "oldest";
export type StartInline = {
  /** Up to 3 MiB. */
  definition: any;
  /** Any JSON that fits the definition's schema; `{}` unless it is given. */
  input?: any;
  /** Outputs that are given, by the ids of their nodes: such a node completes at once. */
  pins?: {
    [key: string]: Pin;
  };
  /** The run ends behind this node, and nothing runs that does not lead to it. */
  until?: string | null;
  /** Nothing runs but this node, and what has its output given. */
  only?: string | null;
};
export type StepStatus =
  | ("running" | "completed" | "failed" | "skipped" | "cancelled")
  | "pending"
  | "waiting"
  | "unknown";
export type Failure = {
  code: string;
  message: string;
  /** What came all the same: of an http call `{status, headers, body}`, with `cut` where the body is only its beginning. */
  details?: any;
};
export type Fallback = {
  /** The model that was asked, as the agent names it. */
  model: string;
  /** Why it gave no answer: `model_quota`, `model_refused`, …. */
  code: string;
  /** A sentence for people; of a long one the beginning. */
  message: string;
  /** The model that was asked next. The one of the last fallback is the one that answered, or failed for good. */
  next: string;
};
export type Step = {
  node: string;
  /** Counts from 1; a rerun opens the next. */
  generation: number;
  /** `""` outside bodies, inside a path of indices from 0: `"3.17"`. */
  iteration: string;
  /** The last one. */
  attempt: number;
  status: StepStatus;
  /** It was skipped, and what follows it went on. */
  disabled?: boolean;
  /** Its output was given when the run was started. */
  pinned?: boolean;
  input: any | null;
  /** Of what a person is asked: an approval, or whether an `unknown` step was performed. */
  args_hash?: string | null;
  output: any | null;
  error: Failure | null;
  usage: Usage;
  /** Models that gave no answer in this or an earlier attempt, and which was asked next. */
  fallbacks?: Fallback[];
  started_at: string | null;
  ended_at: string | null;
};
export type StepsPage = {
  items: Step[];
  /** Where the next page begins; null on the last. */
  next: string | null;
  /** With `after`: of the last event that the page takes into account. */
  seq?: number | null;
  /** Seqs of events that can't be read: what they say of these steps is missing. */
  unreadable?: number[];
};
export type RunDefinition = {
  run_id: string;
  /** The stored workflow it was started from; null where the definition came along. */
  workflow_id: string | null;
  version: number;
  /** As it was when the run began, with its defaults left out. */
  definition: any;
  /** Its agents and their tools as they were then, as in an agents' file; null where it asks none, and where they are not
    kept any more. */
  agents: any;
  /** The hash of those agents. */
  agents_hash: string | null;
};
export type Rounds = {
  begun: number;
  ended: number;
};
export type NodeOverlay = {
  node: string;
  /** The one in which it ran. A rerun keeps what lies before it. */
  generation: number;
  /** Of several steps: what is open comes first (`running`, `waiting`, `unknown`, `pending`), then `failed`, `completed`,
    `cancelled`, `skipped`. */
  status: StepStatus;
  /** The definition leaves it out. */
  disabled?: boolean;
  /** Its output was given when the run was started. */
  pinned?: boolean;
  /** The last one; of several steps the highest. */
  attempt: number;
  /** Of a node in a body: how many of its steps have which status. */
  counts?:
    | {
        [key: string]: number;
      }
    | {
        [key: string]: number;
      };
  /** Of a node with a body: its rounds. */
  iterations?: Rounds | null;
  /** When the first step began; of what ends at once, when it ended. */
  started_at: string | null;
  /** When the last step ended; null while one is open. */
  ended_at: string | null;
  /** Milliseconds from begin to end, all steps that have ended together. */
  ms: number;
  usage: Usage;
  /** The code of the last failure, also of one that was tried again or has a default. */
  error: string | null;
};
export type EdgeOverlay = {
  source: string;
  target: string;
  /** Null of an edge without one. */
  branch: string | null;
  /** How often: more than once in bodies. */
  taken: number;
};
export type OverlayAnswer = {
  /** Counts from 1; a rerun opens the next. */
  generation: number;
  /** Of the last event that it takes into account. */
  seq: number;
  /** Nodes that have a step, by their ids. */
  nodes: NodeOverlay[];
  /** Edges that were taken, in the order of the definition. */
  edges: EdgeOverlay[];
  /** Seqs of events that can't be read: what they say of these nodes is missing. */
  unreadable?: number[];
};
export type Event = {
  /** Its place in the history, from 1. */
  seq: number;
  at: string;
  /** `run.created`, `step.started`, …; `unreadable` for what is damaged or was written by a later version. */
  type: string;
  node?: string | null;
  generation?: number | null;
  iteration?: string | null;
  attempt?: number | null;
  /** What else the event says, by its type. */
  data: any;
  /** Of the event, chained with those before it. */
  hash?: string | null;
};
export type PageOfEvent = {
  items: Event[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type Signal = {
  /** 1 to 255 bytes. */
  name: string;
  /** Any JSON; null unless it is given. */
  data?: any;
};
export type Approve = {
  node: string;
  /** The current one unless it is given. */
  generation?: number | null;
  /** Of a node in a body; need not be given where one iteration waits. */
  iteration?: string | null;
  approved: boolean;
  comment?: string | null;
  /** That of the step, as `steps` shows it. */
  args_hash?: string | null;
};
export type Rerun = {
  /** A node of the run's own graph; what lies before it is kept. */
  from: string;
  /** Any JSON; the input of the generation before unless it is given. */
  input?: any;
};
export type ExportedRun = {
  /** `callboard.run.1`. */
  format: string;
  run: RunItem;
  events: Event[];
};
export type BulkError = {
  code: string;
  message: string;
};
export type BulkItem = {
  id: string;
  /** As the operation leaves it; null where it was refused. */
  status: string | null;
  /** Why it was refused. */
  error?: BulkError | null;
};
export type BulkView = {
  items: BulkItem[];
  /** Runs that the request is about and that were not asked: it can be sent again. 900 are 900 or more. */
  left: number;
};
export type OpenStatus = "pending" | "running" | "waiting" | "paused";
export type BulkCancel = {
  /** Up to 100 ids. */
  ids?: string[];
  /** Those of a stored workflow, the newest first. */
  workflow_id?: string | null;
  /** Those of these statuses; of all that have not ended unless it is given. */
  status?: OpenStatus[];
};
export type EndedStatus = "completed" | "failed" | "cancelled";
export type BulkRerun = {
  /** Up to 100 ids. */
  ids?: string[];
  /** Those of a stored workflow, the newest first. */
  workflow_id?: string | null;
  /** Those of these statuses; `failed` unless it is given. */
  status?: EndedStatus[];
  /** A node of the runs' own graph; the one where each failed unless it is given. */
  from?: string | null;
  /** Any JSON; each run's own input unless it is given. */
  input?: any;
};
export type Question = "approval" | "unknown";
export type Approval = {
  run_id: string;
  /** The stored workflow it runs; null where the definition came along. */
  workflow_id: string | null;
  /** The workflow's name. */
  workflow_name: string;
  node: string;
  generation: number;
  /** `""` outside bodies, inside a path of indices from 0. */
  iteration: string;
  attempt: number;
  kind: Question;
  /** What an approval asks; null of an `unknown` step. */
  title: string | null;
  detail: any | null;
  /** The whole of what a person is asked about: of an `unknown` step, what it was to do. */
  input: any;
  /** What an answer names. */
  args_hash: string;
  since: string;
  /** When it is rejected by itself; null where it waits without end. */
  expires_at: string | null;
  /** Nodes that an edge leads to where the answer is yes. */
  on_approve: string[];
  /** Nodes that an edge leads to where it is no. */
  on_reject: string[];
};
export type PageOfApproval = {
  items: Approval[];
  /** Where the next page begins; null on the last. */
  next: string | null;
  /** How many wait, on all pages. */
  total: number;
};
export type UsageLine = {
  day?: string | null;
  /** Null where the definition came along. */
  workflow_id?: string | null;
  /** `""` of steps whose agent is not known any more. */
  agent?: string | null;
  /** `""` of workers outside. */
  model?: string | null;
  calls: number;
  prompt_tokens: number;
  completion_tokens: number;
  /** In millionths of a unit of the currency that the server's prices are in, as they were when the calls were made; null
    where no call's model had one. */
  cost: number | null;
  /** Calls that are not in the cost. */
  unpriced_calls: number;
};
export type UsageSum = {
  calls: number;
  prompt_tokens: number;
  completion_tokens: number;
  /** In millionths of a unit of the currency that the server's prices are in, as they were when the calls were made; null
    where no call's model had one. */
  cost: number | null;
  /** Calls that are not in the cost. */
  unpriced_calls: number;
};
export type UsagePage = {
  items: UsageLine[];
  /** Where the next page begins; null on the last. */
  next: string | null;
  /** Of the whole span. */
  total: UsageSum;
  /** The first day. */
  from: string;
  /** The last day. */
  to: string;
};
export type Dimension = "day" | "workflow" | "agent" | "model";
export type TriggerKind = "schedule" | "webhook";
export type Trigger = {
  id: string;
  workflow_id: string;
  kind: TriggerKind;
  name: string;
  enabled: boolean;
  settings: any | null;
  /** Counts the changes. */
  revision: number;
  /** What was before is none of its occasions. */
  since: string;
  created_at: string;
  /** Who made it. */
  created_by: string;
  updated_at: string;
  /** Of a schedule that is enabled: its next occasions, five at most. */
  next_fires: string[];
  /** Of a schedule: an occasion that waits for the end of the current run. */
  queued: string | null;
  /** Of a schedule: the last occasion that started a run. */
  last_at: string | null;
  /** Of a schedule: that run. */
  current_run: string | null;
  /** Of a webhook: the path that requests are sent to. */
  address: string | null;
};
export type PageOfTrigger = {
  items: Trigger[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type TriggerMade = {
  id: string;
  workflow_id: string;
  kind: TriggerKind;
  name: string;
  enabled: boolean;
  settings: any | null;
  /** Counts the changes. */
  revision: number;
  /** What was before is none of its occasions. */
  since: string;
  created_at: string;
  /** Who made it. */
  created_by: string;
  updated_at: string;
  /** Of a schedule that is enabled: its next occasions, five at most. */
  next_fires: string[];
  /** Of a schedule: an occasion that waits for the end of the current run. */
  queued: string | null;
  /** Of a schedule: the last occasion that started a run. */
  last_at: string | null;
  /** Of a schedule: that run. */
  current_run: string | null;
  /** Of a webhook: the path that requests are sent to. */
  address: string | null;
  /** Of a webhook whose secret we made: what its sender signs with, or sends. Nobody can show it again. */
  secret: string | null;
};
export type NewTrigger = {
  /** Whose runs it starts. */
  workflow_id: string;
  kind: TriggerKind;
  /** For people; up to 200 characters. */
  name?: string | null;
  /** Whether it fires; true unless it is given. */
  enabled?: boolean | null;
  /** By its kind, as in docs/triggers.md. */
  settings: {
    [key: string]: any;
  };
};
export type TriggerPreview = {
  /** Of a schedule: its next occasions, five at most. */
  next_fires: string[];
  /** Everything that is wrong with them; they could be saved if this is empty. */
  problems: Problem[];
};
export type PreviewTrigger = {
  kind: TriggerKind;
  /** By its kind, as in docs/triggers.md. */
  settings: {
    [key: string]: any;
  };
};
export type ReplaceTrigger = {
  /** For people; as it was unless it is given. */
  name?: string | null;
  /** As it was unless it is given. */
  enabled?: boolean | null;
  /** By its kind, as in docs/triggers.md. */
  settings: {
    [key: string]: any;
  };
};
export type FireNow = {
  /** The run's input; what the settings of a schedule say, or `{}`, unless it is given. */
  input?: any;
};
export type FireOutcome = "started" | "skipped" | "refused";
export type Fire = {
  /** It comes once: an instant of a schedule, the id of a message. */
  occasion: string;
  at: string;
  outcome: FireOutcome;
  /** The run that it started. */
  run_id: string | null;
  /** Why nothing was started. */
  code: string | null;
  detail: string | null;
  /** Occasions before it that nothing was started for, as nobody looked. */
  missed: number;
};
export type PageOfFire = {
  items: Fire[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type Delivered = {
  /** The run that was started. */
  run_id: string | null;
  /** That of the run; `skipped` where none was started. */
  status: string;
  /** The run's, where the sender waited for its end. */
  output: any;
};
export type NodeKindWork = "decided" | "waits" | "holds" | "outside";
export type Family = "ai" | "data" | "flow" | "wait" | "people" | "call";
export type NodeKindView = {
  /** As `type` writes it. */
  name: string;
  /** What it is for. */
  description: string;
  /** What becomes of a node that is started. */
  work: NodeKindWork;
  /** The branches by which it can end when it completes; beside them `error`, with `on_error: branch`. */
  branches: string[];
  /** What it has in common with other kinds. */
  family: Family;
  /** The name of what stands for it, among Tabler's icons. */
  icon: string;
  /** JSON Schema of its `config`, with the defaults. `x-callboard` of a field lists what it holds: `template`, `expression`,
    `duration`, `agent`, `node`, `schema`, and `secret` where `secret://` names one. */
  config: any;
  /** JSON Schema of its output, as far as the kind says it: `{}` where the configuration does. */
  output_schema: any;
};
export type PageOfNodeKindView = {
  items: NodeKindView[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type SecretName = {
  name: string;
  /** It goes to certain hosts only. */
  bound: boolean;
};
export type SecretNames = {
  items: SecretName[];
  /** The store tells its names. Otherwise these are those that the settings name, and there may be others. */
  complete: boolean;
};
export type ToolOfAgents = {
  name: string;
  description: string;
  /** `http` or `expression`. */
  type: string;
  /** JSON Schema of the arguments. */
  parameters: any;
  /** About so many tokens each call of a model takes for its description and schema. */
  tokens: number;
  /** Agents that have it. */
  agents: string[];
};
export type PageOfToolOfAgents = {
  items: ToolOfAgents[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type ProviderView = {
  /** What stands before the slash in a model's name. */
  provider: string;
  /** Models that name no provider are its own. */
  is_default: boolean;
  /** It answers from a script. */
  scripted: boolean;
  /** Its models that agents of the project name. */
  models: string[];
};
export type PageOfProviderView = {
  items: ProviderView[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type Limits = {
  /** Rounds of model and tool calls. */
  iterations: number;
  /** Model calls. */
  calls: number | null;
  tokens: number | null;
  seconds: number | null;
  /** The same tool with the same arguments so many times is a loop. */
  repeats: number;
};
export type Agent = {
  name: string;
  /** What others are told it is for. */
  summary: string;
  model: string;
  temperature?: number | null;
  max_tokens?: number | null;
  /** How a failed model call is tried again. */
  retry_policy?: RetryPolicy | null;
  role?: string | null;
  goal?: string | null;
  backstory?: string | null;
  /** The system text; without it, it is built of role, goal and backstory. */
  instructions?: string | null;
  /** It may ask the agents of `delegate_to` to perform parts of its tasks. */
  allow_delegation: boolean;
  /** Names of `agents` that it may ask; there is no "all", since each of them brings its own tools. */
  delegate_to?: string[];
  /** Names of `tools`. */
  tools?: string[];
  output_schema?: any | null;
  limits: Limits;
  /** Models tried in order when the first is unavailable. */
  fallback_models?: string[];
};
export type PageOfAgent = {
  items: Agent[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type WordView = {
  name: string;
  /** What it gives, in a sentence. */
  description: string;
};
export type ExpressionReference = {
  /** Behind `|`. */
  filters: WordView[];
  /** Called by name. */
  functions: WordView[];
  /** Behind `is` and `is not`, and in filters such as `select`. */
  tests: WordView[];
};
export type Scope = {
  /** By the path below the node: `config`, and where there are others `config.until`, `config.body.output`,
    `config.rules`; of the workflow `output`. What stands deeper has the names of the nearest place above. Of each name the
    JSON Schema, `{}` where nothing is known. */
  places: {
    [key: string]: {
      [key: string]: any;
    };
  };
};
export type AskScope = {
  /** Up to 4 MiB; it may have mistakes. */
  definition: any;
  /** The workflow's own output unless it is given. */
  node?: string | null;
};
export type RenamedDefinition = {
  definition: any | null;
  /** The paths of what was changed. */
  changed: string[];
  /** The paths of what may mean the node in a way that can't be told: a name that is computed, a text that does not parse,
    a kind that is not known. */
  unsure: string[];
};
export type AskRename = {
  /** Up to 4 MiB; it may have mistakes. */
  definition: any;
  from: string;
  to: string;
};
export type Evaluated = {
  value: any | null;
  /** `null`, `boolean`, `number`, `string`, `array` or `object`. */
  type: string;
  /** Of the value as JSON. */
  bytes: number;
};
export type RunCalled = string;
export type Evaluate = {
  /** An expression, as in `if`; either this or `template`. */
  expression?: string | null;
  /** Any JSON; each text in it is a template. */
  template?: any;
  /** What is undefined is false, and the answer `true` or `false`: an expression as a condition reads it. */
  condition?: boolean;
  /** What it sees, such as `{"input": {"n": 1}}`; or nothing, or a `run`. */
  data?:
    | {
        [key: string]: any;
      }
    | {
        [key: string]: any;
      };
  /** The run whose data it sees, as a node of its own would see them now. */
  run?: RunCalled | null;
  /** The node that would see them; the workflow's output unless it is given. */
  node?: string | null;
  /** The iteration, of a node in a body: `"2"`, or `"2.0"` in a body within a body. */
  iteration?: string | null;
};
export type Role = "viewer" | "operator" | "editor" | "admin";
export type KeyLimits = {
  /** Requests of a second, as many at once. */
  per_second?: number | null;
  /** Requests of an hour, as many at once. */
  per_hour?: number | null;
};
export type Key = {
  id: string;
  project: string;
  role: Role;
  name: string;
  /** `active`, `expired` or `revoked`. */
  status: string;
  created_at: string;
  /** Who made it. */
  created_by: string;
  expires_at: string | null;
  revoked_at: string | null;
  rotated_at: string | null;
  /** Until when the secret before the rotation is good. */
  previous_until: string | null;
  /** To the minute. */
  last_used_at: string | null;
  /** How often it may ask, of each process; what it has no limit of is missing. */
  limits: KeyLimits;
};
export type PageOfKey = {
  items: Key[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type KeyMade = {
  id: string;
  project: string;
  role: Role;
  name: string;
  /** `active`, `expired` or `revoked`. */
  status: string;
  created_at: string;
  /** Who made it. */
  created_by: string;
  expires_at: string | null;
  revoked_at: string | null;
  rotated_at: string | null;
  /** Until when the secret before the rotation is good. */
  previous_until: string | null;
  /** To the minute. */
  last_used_at: string | null;
  /** How often it may ask, of each process; what it has no limit of is missing. */
  limits: KeyLimits;
  /** `cb_ID_SECRET`: what is sent. Nobody can show it again. */
  secret: string;
};
export type LimitKey = {
  /** Requests of a second, as many at once. */
  per_second?: number | null;
  /** Requests of an hour, as many at once. */
  per_hour?: number | null;
};
export type NewKey = {
  role: Role;
  /** For people; up to 200 characters. */
  name?: string | null;
  /** When it ends, in RFC 3339; never unless it is given. */
  expires_at?: string | null;
  /** Its project: the caller's own unless it is given. Another one is for those who may create projects. */
  project?: string | null;
  /** How often it may ask; as often as it likes unless it is given. */
  limits?: LimitKey | null;
};
export type RotateKey = {
  /** How long the secret before stays good, such as `1h`; 24 hours unless it is given, 30 days at most. */
  keep?: Duration | null;
};
export type AuditEntry = {
  seq: number;
  /** Of a refusal its minute: of one kind one is written down in each. */
  at: string;
  /** Who it was. */
  subject: string;
  /** `none`, `key`, `token` or `own`. */
  via: string;
  /** Method and path, as in this description. */
  route: string;
  /** The id of what was changed. */
  object: string | null;
  /** The content before and after a change, by its hash. */
  before: string | null;
  after: string | null;
  /** Of a refusal: why. */
  code: string | null;
  /** Of a refusal: whence it came, an address or who it was. */
  source: string | null;
};
export type PageOfAuditEntry = {
  items: AuditEntry[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type ProjectLimits = {
  /** Runs that have not ended, at once. */
  runs?: number | null;
  /** Tokens of a day of UTC. */
  tokens_per_day?: number | null;
  /** Money of a day of UTC, in millionths of a unit of the currency that the server's prices are in. */
  cost_per_day?: number | null;
  /** The same of a month of UTC. */
  cost_per_month?: number | null;
};
export type Project = {
  id: string;
  name: string;
  created_at: string;
  /** Since when nothing new begins in it; null while it is not paused. */
  paused_at: string | null;
  /** What it has no limit of is missing. */
  limits: ProjectLimits;
};
export type PageOfProject = {
  items: Project[];
  /** Where the next page begins; null on the last. */
  next: string | null;
};
export type NewProject = {
  /** A small letter, then up to 31 of `a-z 0-9 -`. */
  id: string;
  /** For people; up to 200 characters. */
  name?: string | null;
};
export type LimitProject = {
  /** Runs that have not ended, at once. */
  runs?: number | null;
  /** Tokens of a day of UTC. */
  tokens_per_day?: number | null;
  /** Money of a day of UTC, in millionths of a unit of the currency that the server's prices are in. */
  cost_per_day?: number | null;
  /** The same of a month of UTC. */
  cost_per_month?: number | null;
};
export type Me = {
  /** `key:ID`, the issuer's name and the subject of a token, or `anybody`. */
  subject: string;
  /** `none`, `key`, `token` or `own`. */
  via: string;
  role: Role;
  project: string;
  /** Those that this credential opens. */
  projects: string[];
  /** Of `read`, `operate`, `edit`, `administer`, `govern`: what routes ask for, as `x-callboard-permission` says. */
  permissions: string[];
  /** When the credential ends. */
  expires_at: string | null;
};
export type Oidc = {
  issuer: string;
  client_id: string;
  scopes: string[];
};
export type Ways = {
  /** `none`: nobody is asked; `key`; `oidc`, where a page can have a token made. */
  ways: string[];
  oidc?: Oidc | null;
};
export type SizeLimits = {
  /** Bytes of a definition. */
  definition: number;
  /** Bytes of one that comes with its start. */
  definition_inline: number;
  /** Bytes of any other body. */
  body: number;
  /** Bytes of a value that a run stores. */
  value: number;
  nodes: number;
  edges: number;
  /** Bodies within bodies. */
  bodies: number;
  /** Items of a page. */
  page: number;
};
export type ModelsView = {
  /** The provider of models that name none. */
  provider: string;
  /** Models that name no provider are answered by the script: nobody thinks. */
  scripted: boolean;
};
export type About = {
  version: string;
  /** The server's clock, in milliseconds since 1970. */
  now: number;
  /** Which actors this process hosts: `workflow`, `ai`. */
  roles: string[];
  limits: SizeLimits;
  health: Checks;
  models: ModelsView;
};
export type Alive = {
  /** `ok`. */
  status: string;
  version: string;
};
export type Ready = {
  /** `ready`. */
  status: string;
  checks: Checks;
};
export const {
  useListWorkflowsQuery,
  useCreateWorkflowMutation,
  useCheckWorkflowMutation,
  useGetWorkflowQuery,
  useUpdateWorkflowMutation,
  useDeleteWorkflowMutation,
  useRenameWorkflowMutation,
  useStartWorkflowMutation,
  useImportWorkflowMutation,
  useGetDraftQuery,
  useSaveDraftMutation,
  useDiscardDraftMutation,
  usePublishDraftMutation,
  useListVersionsQuery,
  useGetVersionQuery,
  useAnnotateVersionMutation,
  useRestoreVersionMutation,
  useDuplicateWorkflowMutation,
  useExportWorkflowQuery,
  useListRunsQuery,
  useStartRunMutation,
  useGetRunQuery,
  useListStepsQuery,
  useGetRunDefinitionQuery,
  useGetOverlayQuery,
  useGetValueQuery,
  useGetHistoryQuery,
  useCancelRunMutation,
  usePauseRunMutation,
  useResumeRunMutation,
  useSignalRunMutation,
  useApproveStepMutation,
  useRerunRunMutation,
  useExportRunQuery,
  useCancelRunsMutation,
  useRerunRunsMutation,
  useListApprovalsQuery,
  useGetUsageQuery,
  useListTriggersQuery,
  useCreateTriggerMutation,
  usePreviewTriggerMutation,
  useGetTriggerQuery,
  useReplaceTriggerMutation,
  useDeleteTriggerMutation,
  useEnableTriggerMutation,
  useDisableTriggerMutation,
  useRenewTriggerSecretMutation,
  useFireTriggerMutation,
  useListFiresQuery,
  useDeliverMutation,
  useListNodeKindsQuery,
  useListSecretsQuery,
  useListToolsQuery,
  useListModelsQuery,
  useListAgentsQuery,
  useGetAgentQuery,
  useGetExpressionReferenceQuery,
  useGetScopeMutation,
  useRenameNodeMutation,
  useEvaluateExpressionMutation,
  useListKeysQuery,
  useCreateKeyMutation,
  useRevokeKeyMutation,
  useRotateKeyMutation,
  useListAuditQuery,
  useListProjectsQuery,
  useCreateProjectMutation,
  useGetProjectQuery,
  useDeleteProjectMutation,
  useLimitProjectMutation,
  usePauseProjectMutation,
  useResumeProjectMutation,
  useGetMeQuery,
  useGetWaysQuery,
  useGetAboutQuery,
  useGetDescriptionQuery,
  useGetExplorerQuery,
  useGetExplorerStyleQuery,
  useGetExplorerScriptQuery,
  useGetHealthOfApiQuery,
  useGetHealthQuery,
  useGetReadinessQuery,
  useGetMetricsQuery,
} = injectedRtkApi;
