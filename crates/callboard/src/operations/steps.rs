//! The steps of a run, as far as its history goes when it is asked, however fast it grows: all of them in pages, or those
//! that changed since a place in the history.

use super::{
    Fields, Operations, Page, Query, Refusal, Trace, Turn, cut, data::Data, history::event, page::seq,
    projection::Projection,
};
use crate::access::Principal;
use callboard_core::{
    ValueRef,
    id::RunId,
    workflow::{
        What,
        view::{Line, Shape, StepStatus, StepView, Steps, is_within},
    },
};
use schemars::JsonSchema;
use serde::Serialize;

/// Entries of a history read at once. More than that to fold takes a place.
const ENTRIES: u32 = 1000;

/// Which steps are asked for.
#[derive(Debug, Default, JsonSchema)]
pub struct Changes {
    /// Only those that changed after this seq: the `seq` of an earlier answer, or 0.
    pub after: Option<String>,
}

/// Which of them are asked for, whatever their place.
#[derive(Debug, Default, PartialEq, Eq, JsonSchema)]
pub struct Which {
    /// Only those of a node.
    pub node: Option<String>,
    /// Only those of a status, as it is now.
    pub status: Option<StepStatus>,
    /// Only those of an iteration, and of those inside of it: `3` finds `3` and `3.17`.
    pub iteration: Option<String>,
    /// Only those of a generation.
    pub generation: Option<u32>,
}

/// A page of steps.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepsPage {
    pub items: Vec<StepView>,
    /// Where the next page begins; null on the last.
    pub next: Option<String>,
    /// With `after`: of the last event that the page takes into account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Seqs of events that can't be read: what they say of these steps is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<u64>,
}

/// What is asked for.
struct Asked<'a> {
    /// Where the page begins, among all steps.
    place: usize,
    limit: usize,
    /// Only what changed after this seq.
    after: u64,
    which: &'a Which,
}

/// Lines of a page, each with its place among all steps.
struct Picked<'l> {
    lines: Vec<(usize, &'l Line)>,
    /// Where the next page begins.
    next: Option<usize>,
}

// === impl Query ===

impl Query for Changes {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self { after: fields.text("after") }
    }
}

impl Query for Which {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            node: fields.text("node"),
            status: fields.word("status"),
            iteration: fields.text("iteration"),
            generation: fields.number("generation"),
        }
    }
}

// === impl Operations ===

impl Operations {
    /// Returns a page of the run's steps, in the order in which they began; and the room that its data takes.
    pub async fn steps(
        &self,
        principal: &Principal,
        trace: &Trace,
        run: &RunId,
        of: &Page,
        changes: &Changes,
        which: &Which,
    ) -> Result<(StepsPage, Option<Turn>), Refusal> {
        principal.owns(run)?;
        let (limit, place) = (of.limit()? as usize, of.place()?);
        let after = changes.after.as_deref().map(seq).transpose()?;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        self.runs.caught_up(trace, run).await?;
        let end = self.runs.row(run).await?.seq;
        let asked = Asked { place, limit, after: after.unwrap_or(0), which };
        // Who looks for a few would otherwise be given page after page with nothing in it.
        if after.is_some() || *which != Which::default() {
            let kept = self.projections.of(run);
            let mut all = kept.lock().await;
            if !all.is_too_large() {
                let folded = self.fold(run, &mut all, end).await;
                self.projections.weigh(run, &all);
                folded?;
            }
            if !all.is_too_large() {
                return self.answer(run, &all, &asked, after.map(|_| all.seq)).await;
            }
        }
        // Of what is too large to keep, the page is looked through for what changed, and for what is asked for.
        let mut page = Projection::page(place, limit);
        self.fold(run, &mut page, end).await?;
        self.answer(run, &page, &asked, after.map(|_| end)).await
    }

    /// Shows the lines that are asked for.
    async fn answer(
        &self,
        run: &RunId,
        projection: &Projection,
        asked: &Asked<'_>,
        seq: Option<u64>,
    ) -> Result<(StepsPage, Option<Turn>), Refusal> {
        let mut data = Data::default();
        let Picked { lines, next } = picked(projection, asked, &mut data);
        let room = self.heavy.data(data.size()).await?;
        data.load(&*self.catalog, run).await?;
        let value = |reference: &ValueRef| Some(cut::shown(reference, data.content(reference)?));
        let show = |(_, line)| projection.steps.show(line, value);
        let items = lines.into_iter().map(show).collect();
        let next = next.map(|place| place.to_string());
        Ok((StepsPage { items, next, seq, unreadable: projection.unreadable.clone() }, room))
    }

    /// Folds what is recorded up to `end` into the projection, as far as it can change it.
    async fn fold(&self, run: &RunId, projection: &mut Projection, end: u64) -> Result<(), Refusal> {
        let is_long = end.saturating_sub(projection.seq) > u64::from(ENTRIES);
        let _turn = if is_long { Some(self.heavy.fold().await?) } else { None };
        while projection.seq < end && !projection.steps.is_settled() && !projection.is_too_large() {
            let entries = self.catalog.history(run, projection.seq, ENTRIES).await?;
            if entries.first().is_none_or(|entry| entry.seq > end) {
                break;
            }
            for entry in entries.iter().take_while(|entry| entry.seq <= end) {
                let event = event(run, entry);
                if let Some(What::RunCreated { plan, .. }) = event.as_ref().map(|event| &event.what) {
                    let mut data = Data::default();
                    data.want(plan);
                    data.load(&*self.catalog, run).await?;
                    projection.steps.of(Shape::of(&data.show(plan)));
                }
                projection.apply(entry, event.as_ref());
            }
        }
        Ok(())
    }
}

/// Picks up to `limit` lines of those that are asked for, as many as `data` has room for but
/// at least one; asks it for what they hold.
fn picked<'l>(projection: &'l Projection, asked: &Asked<'_>, data: &mut Data) -> Picked<'l> {
    let steps = &projection.steps;
    // A page holds its own lines only.
    let first = steps.skipped();
    let from = asked.place.saturating_sub(first);
    let is_asked = |line: &Line| line.changed() > asked.after && asked.which.fits(steps, line);
    let wanted = steps.lines().iter().enumerate().skip(from).filter(|(_, line)| is_asked(line));
    let mut lines = Vec::new();
    for (at, line) in wanted {
        let fits = lines.len() < asked.limit && line.data().all(|datum| data.want(datum));
        if !fits && !lines.is_empty() {
            return Picked { lines, next: Some(first.saturating_add(at)) };
        }
        lines.push((at, line));
    }
    let next = steps.has_more().then(|| first.saturating_add(steps.lines().len()));
    Picked { lines, next }
}

// === impl Which ===

impl Which {
    fn fits(&self, steps: &Steps, line: &Line) -> bool {
        let key = line.key();
        self.node.as_deref().is_none_or(|node| *node == *key.node)
            && self.generation.is_none_or(|generation| generation == key.generation)
            && self.iteration.as_deref().is_none_or(|path| is_within(&key.iteration, path))
            && self.status.is_none_or(|status| status == steps.status(line))
    }
}
