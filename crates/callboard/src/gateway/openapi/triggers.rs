//! The routes of triggers, each with what it takes and answers.

use super::route::{ANY, Answer, Body, Content, GONE, KEY, NO_QUERY, PLACED, Route, TAG, of, ok, read};
use crate::operations::{
    CreateTrigger, DeliveredView, FireNow, FireView, Items, Page, PreviewTrigger, ReplaceTrigger,
    StartedView, TriggerMade, TriggerPreview, TriggerView, TriggersOf,
};

const SAVES: &[u16] = &[404, 408, 409, 413, 415, 422];
const ALTERED: &[Answer] = &[Answer {
    status: 200,
    description: "The trigger, as it is now.",
    content: Content::Json(of::<TriggerMade>()),
    headers: TAG,
}];

/// A change of a trigger that takes no body.
const fn change(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    refusals: &'static [u16],
) -> Route {
    Route {
        method: "post",
        path,
        tag: "triggers",
        id,
        summary,
        query: NO_QUERY,
        headers: &[],
        body: Body::None,
        answers: ALTERED,
        refusals,
    }
}

pub const ROUTES: &[Route] = &[
    read(
        "/api/v1/triggers",
        "triggers",
        "listTriggers",
        "Triggers, by their ids, the latest first",
        &[of::<Page>(), of::<TriggersOf>()],
        &[ok("A page.", Content::Json(of::<Items<TriggerView>>()))],
    ),
    Route {
        method: "post",
        path: "/api/v1/triggers",
        tag: "triggers",
        id: "createTrigger",
        summary: "Makes a trigger; a secret that is made for it is shown this once",
        query: NO_QUERY,
        headers: KEY,
        body: Body::Json { of: of::<CreateTrigger>(), required: true },
        answers: &[Answer {
            status: 201,
            description: "The trigger; repeated, as it is now and without its secret.",
            content: Content::Json(of::<TriggerMade>()),
            headers: &["ETag", "Location", "Idempotency-Replayed"],
        }],
        refusals: SAVES,
    },
    Route {
        method: "post",
        path: "/api/v1/triggers/preview",
        tag: "triggers",
        id: "previewTrigger",
        summary: "Says what settings would do, or what is wrong with them; saves nothing",
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of: of::<PreviewTrigger>(), required: true },
        answers: &[ok("They were looked at.", Content::Json(of::<TriggerPreview>()))],
        refusals: &[408, 413, 415, 422],
    },
    read(
        "/api/v1/triggers/{id}",
        "triggers",
        "getTrigger",
        "The trigger, with its next occasions",
        NO_QUERY,
        &[Answer {
            status: 200,
            description: "The trigger.",
            content: Content::Json(of::<TriggerView>()),
            headers: TAG,
        }],
    ),
    Route {
        method: "put",
        path: "/api/v1/triggers/{id}",
        tag: "triggers",
        id: "replaceTrigger",
        summary: "Replaces name and settings; what was started goes on",
        query: NO_QUERY,
        headers: &["If-Match"],
        body: Body::Json { of: of::<ReplaceTrigger>(), required: true },
        answers: ALTERED,
        refusals: SAVES,
    },
    Route {
        method: "delete",
        path: "/api/v1/triggers/{id}",
        tag: "triggers",
        id: "deleteTrigger",
        summary: "Deletes a trigger; what it started goes on",
        query: NO_QUERY,
        headers: &[],
        body: Body::None,
        answers: GONE,
        refusals: &[415],
    },
    change(
        "/api/v1/triggers/{id}/enable",
        "enableTrigger",
        "Lets a trigger fire, from now on",
        &[409, 415, 422],
    ),
    change("/api/v1/triggers/{id}/disable", "disableTrigger", "Lets a trigger fire no more", &[409, 415]),
    change(
        "/api/v1/triggers/{id}/secret",
        "renewTriggerSecret",
        "Gives a webhook another secret, which is shown this once; the one before ends",
        &[409, 415, 422],
    ),
    Route {
        method: "post",
        path: "/api/v1/triggers/{id}/fire",
        tag: "triggers",
        id: "fireTrigger",
        summary: "Starts its run now, whether it is enabled or not",
        query: NO_QUERY,
        headers: KEY,
        body: Body::Json { of: of::<FireNow>(), required: false },
        answers: &[Answer {
            status: 200,
            description: "The run is recorded.",
            content: Content::Json(of::<StartedView>()),
            headers: PLACED,
        }],
        refusals: &[404, 408, 409, 413, 415, 422, 429],
    },
    read(
        "/api/v1/triggers/{id}/fires",
        "triggers",
        "listFires",
        "What came of its last occasions, newest first, a hundred at most",
        NO_QUERY,
        &[ok("All that are kept.", Content::Json(of::<Items<FireView>>()))],
    ),
    Route {
        method: "post",
        path: "/hooks/{project}/{trigger}",
        tag: "triggers",
        id: "deliver",
        summary: "Takes a delivery of a webhook, which its sender has signed",
        query: NO_QUERY,
        headers: &[],
        body: Body::Json { of: ANY, required: true },
        answers: &[
            ok("The run, which its sender has waited for.", Content::Json(of::<DeliveredView>())),
            Answer {
                status: 202,
                description: "The run is recorded, or none was to be started.",
                content: Content::Json(of::<DeliveredView>()),
                headers: &[],
            },
        ],
        refusals: &[404, 408, 409, 413, 415, 422, 429],
    },
];
