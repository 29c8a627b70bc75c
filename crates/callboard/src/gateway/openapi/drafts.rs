//! The routes of drafts, versions and copies, each with what it takes and answers.

use super::route::{
    Answer, Body, Content, KEY, NO_QUERY, PAGED, REPLAYED, Route, SAVES, SAVING, of, ok, read,
};
use crate::{
    gateway::exchange::Export,
    operations::{
        Annotate, DraftView, Duplicate, Items, Nothing, Publish, Rename, Saved, VersionLine, VersionView,
        WorkflowView,
    },
};
use callboard_core::workflow::Definition;
use schemars::Schema;

const ON: &[&str] = &["If-Match", "If-None-Match"];
const KEYED_ON: &[&str] = &["Idempotency-Key", "If-Match", "If-None-Match"];
const TAGGED: &[&str] = &["ETag", REPLAYED];
const CHANGES: &[u16] = &[404, 408, 409, 412, 413, 415, 422, 428];

const fn saved(description: &'static str) -> Answer {
    Answer { status: 200, description, content: Content::Json(of::<Saved>()), headers: TAGGED }
}

/// A change of a workflow, with a body of ours.
const fn change(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: Body,
    answers: &'static [Answer],
) -> Route {
    Route {
        method: "post",
        path,
        tag: "workflows",
        id,
        summary,
        query: NO_QUERY,
        headers: KEYED_ON,
        body,
        answers,
        refusals: CHANGES,
    }
}

const MADE: &[Answer] = &[Answer {
    status: 201,
    description: "It is made.",
    content: Content::Json(of::<Saved>()),
    headers: &["ETag", "Location", REPLAYED],
}];

pub const ROUTES: &[Route] = &[
    Route {
        query: SAVING,
        headers: KEY,
        refusals: SAVES,
        ..change(
            "/api/v1/workflows/import",
            "importWorkflow",
            "Saves the text of an export as a new workflow; it says the same, by its hash",
            Body::Definition(of::<Definition>()),
            MADE,
        )
    },
    Route {
        method: "patch",
        headers: &[],
        refusals: &[408, 413, 415, 422],
        ..change(
            "/api/v1/workflows/{id}",
            "renameWorkflow",
            "Calls a workflow something else; its versions say what they said",
            Body::Json { of: of::<Rename>(), required: false },
            &[Answer {
                status: 200,
                description: "The workflow.",
                content: Content::Json(of::<WorkflowView>()),
                headers: &["ETag"],
            }],
        )
    },
    read(
        "/api/v1/workflows/{id}/draft",
        "workflows",
        "getDraft",
        "What is edited: the draft, or the latest version; with `Accept: application/yaml` its text",
        NO_QUERY,
        &[Answer {
            status: 200,
            description: "What is edited.",
            content: Content::Document(of::<DraftView>()),
            headers: &["ETag"],
        }],
    ),
    Route {
        method: "put",
        headers: ON,
        ..change(
            "/api/v1/workflows/{id}/draft",
            "saveDraft",
            "Saves the draft, whatever is wrong with it",
            Body::Definition(of::<Definition>()),
            &[Answer {
                status: 200,
                description: "It is saved.",
                content: Content::Json(of::<Saved>()),
                headers: &["ETag"],
            }],
        )
    },
    Route {
        method: "delete",
        headers: ON,
        refusals: &[409, 412, 415, 428],
        ..change(
            "/api/v1/workflows/{id}/draft",
            "discardDraft",
            "Forgets the draft",
            Body::None,
            &[Answer { status: 204, description: "It is gone.", content: Content::None, headers: &[] }],
        )
    },
    change(
        "/api/v1/workflows/{id}/publish",
        "publishDraft",
        "Makes the next version of the draft",
        Body::Json { of: of::<Publish>(), required: false },
        &[saved("It is published.")],
    ),
    read(
        "/api/v1/workflows/{id}/versions",
        "workflows",
        "listVersions",
        "Published versions, newest first, without what they say",
        PAGED,
        &[ok("A page.", Content::Json(of::<Items<VersionLine>>()))],
    ),
    read(
        "/api/v1/workflows/{id}/versions/{n}",
        "workflows",
        "getVersion",
        "A version, as it was published",
        NO_QUERY,
        &[ok("The version.", Content::Json(of::<VersionView>()))],
    ),
    Route {
        method: "patch",
        headers: &[],
        refusals: &[408, 413, 415, 422],
        ..change(
            "/api/v1/workflows/{id}/versions/{n}",
            "annotateVersion",
            "Says something else about a version",
            Body::Json { of: of::<Annotate>(), required: false },
            &[ok("The version.", Content::Json(of::<VersionView>()))],
        )
    },
    change(
        "/api/v1/workflows/{id}/versions/{n}/restore",
        "restoreVersion",
        "Writes an old version into the draft; one that is there is named by `If-Match`",
        Body::Json { of: of::<Nothing>(), required: false },
        &[saved("It is the draft.")],
    ),
    Route {
        headers: KEY,
        refusals: SAVES,
        ..change(
            "/api/v1/workflows/{id}/duplicate",
            "duplicateWorkflow",
            "Makes another workflow that says the same",
            Body::Json { of: of::<Duplicate>(), required: false },
            MADE,
        )
    },
    read(
        "/api/v1/workflows/{id}/export",
        "workflows",
        "exportWorkflow",
        "The definition in a stable form, with positions in a part of their own",
        &[of::<Export>()],
        &[ok("A document.", Content::Document(|_| Schema::from(true)))],
    ),
];
