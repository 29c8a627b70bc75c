//! The routes that say what definitions may say: kinds of nodes, expressions, and what is there for them to use.

use super::route::{Answer, Body, Content, NO_QUERY, Of, PAGED, Route, TAG, of, ok, read};
use crate::operations::{
    AgentView, AskRename, AskScope, Evaluate, Evaluated, Items, NodeKindView, ProviderView, ReferenceView,
    RenamedView, ScopeView, SecretNames, ToolView,
};

/// The caller has it already.
const SAME: Answer =
    Answer { status: 304, description: "It is the same as before.", content: Content::None, headers: TAG };

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

pub const ROUTES: &[Route] = &[
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
];
