//! The routes of runs, and of what is asked over many of them.

use super::route::{
    ANY, Answer, Body, Content, KEY, NO_QUERY, Of, PAGED, REPLAYED, Route, STARTED, STARTS, WAITING, of, ok,
    read,
};
use crate::{
    gateway::events::Since,
    operations::{
        ApprovalsPage, Approve, BulkCancel, BulkRerun, BulkView, Changes, ExportedRun, Filter, Items,
        Nothing, OfGeneration, OverlayAnswer, Page, Rerun, RunDefinitionView, RunItem, Signal, StartInline,
        StepsPage, UsageAsked, UsagePage, Which,
    },
};
use callboard_core::workflow::view::{EventView, RunView};

const OPERATES: &[u16] = &[404, 408, 409, 410, 413, 415, 422, 429];
const AGAIN: &[&str] = &[REPLAYED];
const FILED: &[&str] = &["Accept-Ranges", "Content-Disposition", "ETag"];
const CONFLICTS: &[u16] = &[409];
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

pub const ROUTES: &[Route] = &[
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
];
