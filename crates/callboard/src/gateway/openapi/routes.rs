//! The routes, each with what it takes and answers. A test holds that the router has these and no others.

use super::super::{
    error::ProblemDetails,
    events::Since,
    health::{Alive, Checks, Ready},
    starts::Wait,
    workflows::Saving,
};
use crate::operations::{
    About, AgentView, ApprovalsPage, Approve, AskRename, AskScope, AuditLine, BulkCancel, BulkRerun,
    BulkView, Changes, CheckedView, Evaluate, Evaluated, ExportedRun, Filter, Items, KeyMade, KeyView,
    LimitProject, Listed, Me, NewKey, NewProject, NodeKindView, Nothing, OfGeneration, OverlayAnswer, Page,
    ProjectView, ProviderView, ReferenceView, RenamedView, Rerun, RotateKey, RunDefinitionView, RunItem,
    Saved, ScopeView, SecretNames, Signal, Start, StartInline, StartedView, StepsPage, ToolView, UsageAsked,
    UsagePage, Ways, Which, WorkflowLine, WorkflowView,
};
use callboard_core::workflow::{
    Definition,
    view::{EventView, RunView},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes a type's schema, as a reference into the components where it has a name.
pub type Of = fn(&mut SchemaGenerator) -> Schema;

/// A route and one of its methods.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub tag: &'static str,
    /// Its name in clients.
    pub id: &'static str,
    pub summary: &'static str,
    /// Types whose fields are query parameters.
    pub query: &'static [Of],
    /// Names from `HEADERS`.
    pub headers: &'static [&'static str],
    pub body: Body,
    pub answers: &'static [Answer],
    /// Statuses of problems beside those that any route has.
    pub refusals: &'static [u16],
}

/// What a route takes.
pub enum Body {
    None,
    /// JSON, or no body at all where nothing in it is required.
    Json {
        of: Of,
        required: bool,
    },
    /// A definition, in JSON or YAML.
    Definition(Of),
}

/// What a route answers when all is well.
pub struct Answer {
    pub status: u16,
    pub description: &'static str,
    pub content: Content,
    /// Names from `ANSWERED`.
    pub headers: &'static [&'static str],
}

pub enum Content {
    None,
    Json(Of),
    /// Server-sent events with this data; beside them, where it is asked for, `agent.said`.
    Stream(Of),
    Text,
    /// JSON of this type, or a document in YAML.
    Document(Of),
    /// A file of this type.
    File(&'static str),
    /// JSON of one of two types.
    Either(Of, Of),
}

/// Headers of requests, by name.
pub const HEADERS: [(&str, &str); 5] = [
    (
        "Idempotency-Key",
        "Names the request: 1 to 255 visible ASCII characters, in quotes or not. The same request under the same key is done \
         once, and answered again; another one is 422 `idempotency_key_reused`.",
    ),
    (
        "If-Match",
        "What the change was made on, by the `ETag` that was read: a version, such as `\"3\"`, or a draft, such as `\"d7\"`.",
    ),
    (
        "If-None-Match",
        "Of a read, the `ETag` that the caller has: where it is still right, the answer is 304 without a body. Of a draft that is \
         saved, `*`: there is none yet.",
    ),
    ("Last-Event-ID", "Resumes a stream after this seq; wins over `after`."),
    ("Range", "One part of it, such as `bytes=0-1023`; several count as the whole."),
];

/// Headers of answers, by name.
pub const ANSWERED: [(&str, &str); 6] = [
    ("ETag", "The version, such as `\"3\"`, or the draft, such as `\"d7\"`; of what has neither a hash."),
    ("Accept-Ranges", "`bytes`."),
    ("Content-Disposition", "`attachment`, with a name for the file."),
    ("Content-Range", "Which part it is, and of how many bytes."),
    ("Location", "The path of what was made."),
    ("Idempotency-Replayed", "`true` where this was done before, under the same key; absent otherwise."),
];

pub const fn of<T: JsonSchema>() -> Of {
    |generator| generator.subschema_for::<T>()
}

pub const fn ok(description: &'static str, content: Content) -> Answer {
    Answer { status: 200, description, content, headers: &[] }
}

/// Any JSON.
const ANY: Of = |_| Schema::from(true);
/// The caller has it already.
const SAME: Answer =
    Answer { status: 304, description: "It is the same as before.", content: Content::None, headers: TAG };
const FILED: &[&str] = &["Accept-Ranges", "Content-Disposition", "ETag"];
const CONFLICTS: &[u16] = &[409];
pub const KEY: &[&str] = &["Idempotency-Key"];
pub const TAG: &[&str] = &["ETag"];
pub const PLACED: &[&str] = &["Location", REPLAYED];
const AGAIN: &[&str] = &[REPLAYED];
pub const REPLAYED: &str = "Idempotency-Replayed";
pub const NO_QUERY: &[Of] = &[];
pub const PAGED: &[Of] = &[of::<Page>()];
const WAITING: &[Of] = &[of::<Wait>()];
pub const SAVING: &[Of] = &[of::<Saving>()];
pub const SAVES: &[u16] = &[408, 409, 412, 413, 415, 422];
const STARTS: &[u16] = &[404, 408, 409, 413, 415, 422, 429];
const OPERATES: &[u16] = &[404, 408, 409, 410, 413, 415, 422, 429];

const RUN: &[Answer] = &[Answer {
    status: 200,
    description: "The run, as the operation leaves it; repeated, as it is now.",
    content: Content::Json(of::<RunView>()),
    headers: AGAIN,
}];
const EACH: &[Answer] = &[Answer {
    status: 200,
    description: "What became of each run.",
    content: Content::Json(of::<BulkView>()),
    headers: AGAIN,
}];
const STARTED: &[Answer] = &[Answer {
    status: 200,
    description: "The run is recorded; with `wait` the whole run.",
    content: Content::Either(of::<StartedView>(), of::<RunItem>()),
    headers: PLACED,
}];

/// An operation on a run.
const fn operation(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    of: Of,
    required: bool,
) -> Route {
    Route {
        method: "post",
        path,
        tag: "runs",
        id,
        summary,
        query: NO_QUERY,
        headers: KEY,
        body: Body::Json { of, required },
        answers: RUN,
        refusals: OPERATES,
    }
}

/// An operation on many runs.
const fn bulk(path: &'static str, id: &'static str, summary: &'static str, of: Of) -> Route {
    Route {
        method: "post",
        path,
        tag: "runs",
        id,
        summary,
        query: NO_QUERY,
        headers: KEY,
        body: Body::Json { of, required: true },
        answers: EACH,
        refusals: &[408, 413, 415, 422],
    }
}

/// A read.
pub const fn read(
    path: &'static str,
    tag: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [Of],
    answers: &'static [Answer],
) -> Route {
    let (headers, refusals): (&[&str], &[u16]) = (&[], &[]);
    Route { method: "get", path, tag, id, summary, query, headers, body: Body::None, answers, refusals }
}

/// A question that needs a body, and changes nothing.
const fn asking(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    of: Of,
    answers: &'static [Answer],
) -> Route {
    Route {
        method: "post",
        path,
        tag: "language",
        id,
        summary,
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of, required: true },
        answers,
        refusals: &[408, 413, 415, 422],
    }
}

impl Route {
    /// The same, which refuses in further ways.
    const fn refusing(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }
}

pub const ROUTES: &[Route] = &[
    read(
        "/api/v1/workflows",
        "workflows",
        "listWorkflows",
        "Workflows, newest first, without their nodes",
        &[of::<Page>(), of::<Listed>()],
        &[ok("A page.", Content::Json(of::<Items<WorkflowLine>>()))],
    ),
    Route {
        method: "post",
        path: "/api/v1/workflows",
        tag: "workflows",
        id: "createWorkflow",
        summary: "Saves a definition as a new workflow",
        query: SAVING,
        headers: KEY,
        body: Body::Definition(of::<Definition>()),
        answers: &[Answer {
            status: 201,
            description: "Version 1 is saved.",
            content: Content::Json(of::<Saved>()),
            headers: &["ETag", "Location", REPLAYED],
        }],
        refusals: SAVES,
    },
    Route {
        method: "post",
        path: "/api/v1/workflows/check",
        tag: "workflows",
        id: "checkWorkflow",
        summary: "Says everything that is wrong with a definition; saves nothing",
        query: NO_QUERY,
        headers: &[],
        body: Body::Definition(of::<Definition>()),
        answers: &[ok(
            "It was looked at; `problems` says what is wrong.",
            Content::Json(of::<CheckedView>()),
        )],
        refusals: &[408, 413, 415, 422],
    },
    read(
        "/api/v1/workflows/{id}",
        "workflows",
        "getWorkflow",
        "The definition of the latest version, or of the draft of what was never published, with what the server knows about it",
        NO_QUERY,
        &[Answer {
            status: 200,
            description: "The workflow.",
            content: Content::Json(of::<WorkflowView>()),
            headers: TAG,
        }],
    ),
    Route {
        method: "put",
        path: "/api/v1/workflows/{id}",
        tag: "workflows",
        id: "updateWorkflow",
        summary: "Saves the next version, or the draft; runs keep theirs",
        query: SAVING,
        headers: &["Idempotency-Key", "If-Match"],
        body: Body::Definition(of::<Definition>()),
        answers: &[Answer {
            status: 200,
            description: "The next version is saved.",
            content: Content::Json(of::<Saved>()),
            headers: &["ETag", REPLAYED],
        }],
        refusals: SAVES,
    },
    Route {
        method: "delete",
        path: "/api/v1/workflows/{id}",
        tag: "workflows",
        id: "deleteWorkflow",
        summary: "Hides a workflow; its runs go on",
        query: NO_QUERY,
        headers: KEY,
        body: Body::None,
        answers: &[Answer {
            status: 204,
            description: "It is hidden.",
            content: Content::None,
            headers: AGAIN,
        }],
        refusals: &[415, 422],
    },
    Route {
        method: "post",
        path: "/api/v1/workflows/{id}/start",
        tag: "workflows",
        id: "startWorkflow",
        summary: "Starts a run of the latest version, or of the draft",
        query: WAITING,
        headers: KEY,
        body: Body::Json { of: of::<Start>(), required: false },
        answers: STARTED,
        refusals: STARTS,
    },
    read(
        "/api/v1/runs",
        "runs",
        "listRuns",
        "Runs, by their creation, without input and output",
        &[of::<Page>(), of::<Filter>()],
        &[ok("A page.", Content::Json(of::<Items<RunItem>>()))],
    ),
    Route {
        method: "post",
        path: "/api/v1/runs",
        tag: "runs",
        id: "startRun",
        summary: "Runs a definition that is not stored",
        query: WAITING,
        headers: KEY,
        body: Body::Json { of: of::<StartInline>(), required: true },
        answers: STARTED,
        refusals: STARTS,
    },
    read(
        "/api/v1/runs/{id}",
        "runs",
        "getRun",
        "The run, as it is now",
        NO_QUERY,
        &[ok("The run.", Content::Json(of::<RunItem>()))],
    ),
    read(
        "/api/v1/runs/{id}/steps",
        "runs",
        "listSteps",
        "The run's steps, in the order in which they began",
        &[of::<Page>(), of::<Changes>(), of::<Which>()],
        &[ok("A page.", Content::Json(of::<StepsPage>()))],
    ),
    read(
        "/api/v1/runs/{id}/definition",
        "runs",
        "getRunDefinition",
        "What the run runs, with its agents as they were when it began",
        NO_QUERY,
        &[ok("The definition.", Content::Json(of::<RunDefinitionView>()))],
    )
    .refusing(CONFLICTS),
    read(
        "/api/v1/runs/{id}/overlay",
        "runs",
        "getOverlay",
        "What became of each node and edge, in one answer",
        &[of::<OfGeneration>()],
        &[ok("The overlay.", Content::Json(of::<OverlayAnswer>()))],
    ),
    Route {
        headers: &["Range"],
        ..read(
            "/api/v1/runs/{id}/values/{hash}",
            "runs",
            "getValue",
            "A stored value of the run, as a file",
            NO_QUERY,
            &[
                Answer {
                    status: 200,
                    description: "The value.",
                    content: Content::Json(ANY),
                    headers: FILED,
                },
                Answer {
                    status: 206,
                    description: "A part of its text, which is no JSON by itself.",
                    content: Content::Json(ANY),
                    headers: &["Content-Range", "Accept-Ranges", "Content-Disposition", "ETag"],
                },
            ],
        )
    }
    .refusing(&[410, 416]),
    Route {
        headers: &["Last-Event-ID"],
        ..read(
            "/api/v1/runs/{id}/history",
            "runs",
            "getHistory",
            "The run's events; with `Accept: text/event-stream` as they come",
            &[of::<Since>()],
            &[
                ok("A page, or a stream.", Content::Json(of::<Items<EventView>>())),
                ok("A page, or a stream.", Content::Stream(of::<EventView>())),
                Answer {
                    status: 204,
                    description: "A stream has told everything: the run has ended.",
                    content: Content::None,
                    headers: &[],
                },
            ],
        )
    },
    operation("/api/v1/runs/{id}/cancel", "cancelRun", "Ends the run", of::<Nothing>(), false),
    operation("/api/v1/runs/{id}/pause", "pauseRun", "Nothing new starts", of::<Nothing>(), false),
    operation("/api/v1/runs/{id}/resume", "resumeRun", "Goes on", of::<Nothing>(), false),
    operation("/api/v1/runs/{id}/signal", "signalRun", "Sends a signal", of::<Signal>(), true),
    operation(
        "/api/v1/runs/{id}/approve",
        "approveStep",
        "Answers an approval, or says whether an `unknown` step was performed",
        of::<Approve>(),
        true,
    ),
    operation(
        "/api/v1/runs/{id}/rerun",
        "rerunRun",
        "An ended run runs again from a node, as its next generation",
        of::<Rerun>(),
        true,
    ),
    Route {
        headers: &["If-None-Match"],
        ..read(
            "/api/v1/node-kinds",
            "language",
            "listNodeKinds",
            "The kinds of nodes, each with the schema of its `config`",
            NO_QUERY,
            &[
                Answer {
                    status: 200,
                    description: "All of them.",
                    content: Content::Json(of::<Items<NodeKindView>>()),
                    headers: TAG,
                },
                SAME,
            ],
        )
    },
    read(
        "/api/v1/runs/{id}/export",
        "runs",
        "exportRun",
        "The run with its whole history, as one file",
        NO_QUERY,
        &[ok("`format`, `run` and `events`.", Content::Json(of::<ExportedRun>()))],
    ),
    bulk(
        "/api/v1/runs/cancel",
        "cancelRuns",
        "Ends runs: those named, or those of a workflow or status",
        of::<BulkCancel>(),
    ),
    bulk(
        "/api/v1/runs/rerun",
        "rerunRuns",
        "Ended runs run again: those named, or those of a workflow or status",
        of::<BulkRerun>(),
    ),
    read(
        "/api/v1/approvals",
        "approvals",
        "listApprovals",
        "What waits for a person, over all runs, the longest first",
        PAGED,
        &[ok("A page.", Content::Json(of::<ApprovalsPage>()))],
    ),
    read(
        "/api/v1/usage",
        "usage",
        "getUsage",
        "What ended runs used, by day, workflow, agent and model",
        &[of::<Page>(), of::<UsageAsked>()],
        &[ok("Sums.", Content::Json(of::<UsagePage>()))],
    ),
    read(
        "/api/v1/about",
        "server",
        "getAbout",
        "The server: its version, clock, roles, limits and health",
        NO_QUERY,
        &[ok("The server.", Content::Json(of::<About<Checks>>()))],
    ),
    read(
        "/api/v1/secrets",
        "project",
        "listSecrets",
        "Names of the secrets that definitions of the project may use",
        NO_QUERY,
        &[ok("All of them.", Content::Json(of::<SecretNames>()))],
    ),
    read(
        "/api/v1/tools",
        "project",
        "listTools",
        "Tools that agents may have",
        NO_QUERY,
        &[ok("All of them.", Content::Json(of::<Items<ToolView>>()))],
    ),
    read(
        "/api/v1/ai/models",
        "project",
        "listModels",
        "Providers of models that the project may ask",
        NO_QUERY,
        &[ok("All of them.", Content::Json(of::<Items<ProviderView>>()))],
    ),
    read(
        "/api/v1/ai/agents",
        "project",
        "listAgents",
        "Agents, by their names",
        PAGED,
        &[ok("A page.", Content::Json(of::<Items<AgentView>>()))],
    ),
    read(
        "/api/v1/ai/agents/{id}",
        "project",
        "getAgent",
        "An agent",
        NO_QUERY,
        &[ok("The agent.", Content::Json(of::<AgentView>()))],
    ),
    read(
        "/api/v1/expressions/reference",
        "language",
        "getExpressionReference",
        "Filters, functions and tests, each with what it does",
        NO_QUERY,
        &[ok("All of them.", Content::Json(of::<ReferenceView>()))],
    ),
    asking(
        "/api/v1/definitions/scope",
        "getScope",
        "The names that the expressions of a node can use, with JSON Schemas",
        of::<AskScope>(),
        &[ok("The names, by place.", Content::Json(of::<ScopeView>()))],
    ),
    asking(
        "/api/v1/definitions/rename",
        "renameNode",
        "A definition with another id for a node, and everything that names it rewritten; saves nothing",
        of::<AskRename>(),
        &[ok("The definition.", Content::Json(of::<RenamedView>()))],
    ),
    Route {
        method: "post",
        path: "/api/v1/expressions/evaluate",
        tag: "language",
        id: "evaluateExpression",
        summary: "Evaluates an expression or a template over data, or over a run's",
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of: of::<Evaluate>(), required: true },
        answers: &[ok("What it gave.", Content::Json(of::<Evaluated>()))],
        refusals: &[404, 408, 409, 410, 413, 415, 422],
    },
    read(
        "/api/v1/keys",
        "access",
        "listKeys",
        "Keys of the project, without their secrets",
        PAGED,
        &[ok("A page.", Content::Json(of::<Items<KeyView>>()))],
    ),
    Route {
        method: "post",
        path: "/api/v1/keys",
        tag: "access",
        id: "createKey",
        summary: "Makes a key; its secret is shown this once",
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of: of::<NewKey>(), required: true },
        answers: &[Answer {
            status: 201,
            description: "The key, with its secret.",
            content: Content::Json(of::<KeyMade>()),
            headers: &[],
        }],
        refusals: &[404, 408, 413, 415, 422],
    },
    Route {
        method: "delete",
        path: "/api/v1/keys/{id}",
        tag: "access",
        id: "revokeKey",
        summary: "Ends a key for good, everywhere within 5 s",
        query: NO_QUERY,
        headers: &[],
        body: Body::None,
        answers: GONE,
        refusals: &[415],
    },
    Route {
        method: "post",
        path: "/api/v1/keys/{id}/rotate",
        tag: "access",
        id: "rotateKey",
        summary: "Gives a key another secret; the one before stays good for a while",
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of: of::<RotateKey>(), required: false },
        answers: &[ok("The key, with its new secret.", Content::Json(of::<KeyMade>()))],
        refusals: &[408, 413, 415, 422],
    },
    read(
        "/api/v1/audit",
        "access",
        "listAudit",
        "What was changed by whom, and what was refused, in the project; newest first",
        PAGED,
        &[ok("A page.", Content::Json(of::<Items<AuditLine>>()))],
    ),
    read(
        "/api/v1/projects",
        "access",
        "listProjects",
        "Projects, by their ids",
        PAGED,
        &[ok("A page.", Content::Json(of::<Items<ProjectView>>()))],
    ),
    Route {
        method: "post",
        path: "/api/v1/projects",
        tag: "access",
        id: "createProject",
        summary: "Makes a project; an id is given once",
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of: of::<NewProject>(), required: true },
        answers: &[Answer {
            status: 201,
            description: "The project.",
            content: Content::Json(of::<ProjectView>()),
            headers: PLACED,
        }],
        refusals: &[408, 409, 413, 415, 422],
    },
    read(
        "/api/v1/projects/{id}",
        "access",
        "getProject",
        "A project",
        NO_QUERY,
        &[ok("The project.", Content::Json(of::<ProjectView>()))],
    ),
    Route {
        method: "delete",
        path: "/api/v1/projects/{id}",
        tag: "access",
        id: "deleteProject",
        summary: "Deletes a project that has neither workflows nor runs, and its keys",
        query: NO_QUERY,
        headers: &[],
        body: Body::None,
        answers: GONE,
        refusals: &[409, 415],
    },
    Route {
        method: "put",
        path: "/api/v1/projects/{id}/limits",
        tag: "access",
        id: "limitProject",
        summary: "Sets all limits of a project: runs at once, tokens and money of a day, money of a month",
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of: of::<LimitProject>(), required: true },
        answers: &[ok("The project.", Content::Json(of::<ProjectView>()))],
        refusals: &[408, 413, 415, 422],
    },
    Route {
        method: "post",
        path: "/api/v1/projects/{id}/pause",
        tag: "access",
        id: "pauseProject",
        summary: "Lets nothing new begin in a project; what is under way goes on",
        query: NO_QUERY,
        headers: &[],
        body: Body::None,
        answers: &[ok("The project.", Content::Json(of::<ProjectView>()))],
        refusals: &[415],
    },
    Route {
        method: "post",
        path: "/api/v1/projects/{id}/resume",
        tag: "access",
        id: "resumeProject",
        summary: "Lets runs begin in a project again",
        query: NO_QUERY,
        headers: &[],
        body: Body::None,
        answers: &[ok("The project.", Content::Json(of::<ProjectView>()))],
        refusals: &[415],
    },
    read(
        "/api/v1/me",
        "access",
        "getMe",
        "Who asks, and what that allows",
        NO_QUERY,
        &[ok("The caller.", Content::Json(of::<Me>()))],
    ),
    read(
        "/api/v1/auth",
        "access",
        "getWays",
        "How one can say who one is",
        NO_QUERY,
        &[ok("The ways.", Content::Json(of::<Ways>()))],
    ),
    read(
        "/api/v1/openapi.json",
        "server",
        "getDescription",
        "This description",
        NO_QUERY,
        &[ok("An OpenAPI document.", Content::Json(|_| Schema::from(true)))],
    ),
    read(
        "/docs",
        "server",
        "getExplorer",
        "A page that shows this description",
        NO_QUERY,
        &[ok("The page.", Content::File("text/html"))],
    ),
    read(
        "/docs/explorer.css",
        "server",
        "getExplorerStyle",
        "The style of that page",
        NO_QUERY,
        &[ok("The style.", Content::File("text/css"))],
    ),
    read(
        "/docs/explorer.js",
        "server",
        "getExplorerScript",
        "The script of that page",
        NO_QUERY,
        &[ok("The script.", Content::File("text/javascript"))],
    ),
    read("/api/v1/health", "server", "getHealthOfApi", "Alive", NO_QUERY, ALIVE),
    read("/health", "server", "getHealth", "Alive", NO_QUERY, ALIVE),
    read(
        "/ready",
        "server",
        "getReadiness",
        "Whether sidecar and catalog answer",
        NO_QUERY,
        &[ok("Work may be sent here.", Content::Json(of::<Ready>()))],
    ),
    read(
        "/metrics",
        "server",
        "getMetrics",
        "What is measured, as Prometheus reads it",
        NO_QUERY,
        &[ok("Metrics.", Content::Text)],
    ),
];

pub(super) const GONE: &[Answer] =
    &[Answer { status: 204, description: "It is done.", content: Content::None, headers: &[] }];

const ALIVE: &[Answer] = &[ok("The server answers.", Content::Json(of::<Alive>()))];

/// What every refusal's body is.
pub const PROBLEM: Of = of::<ProblemDetails<'static>>();
