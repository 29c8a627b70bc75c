//! A long tail folded into a snapshot, and a snapshot read back: a head, and pages of finished work.
//!
//! The head is written each time. A page is written once: it holds archived items, or a list of pages of the level
//! below, so that a head does not grow with the archive.

use super::{
    Workflows,
    actor::{Mem, Pages},
    contents::Unread,
};
use crate::{
    document::{self, Document, HeadPart, PAGE_SIZE, Page, Snapshot, encode, foldable},
    stored_values::{self, NewValue},
};
use bytes::Bytes;
use callboard_core::{
    id::RunId,
    workflow::{Run, run::Archived},
};
use std::collections::BTreeMap;

/// A state that was put together from a snapshot, and the pages it came from.
pub(super) struct Restored {
    pub state: Run,
    pub pages: Pages,
}

impl Workflows {
    /// Reads a snapshot; nothing if a part is missing or damaged.
    pub(super) async fn restore(&self, run: &RunId, snapshot: &Snapshot) -> Result<Option<Restored>, Unread> {
        let wanted = [(snapshot.key.clone(), snapshot.size)];
        let head = stored_values::load(&self.services, run, &wanted).await?;
        let Some(head) = head.get(&snapshot.key) else { return Ok(None) };
        let Ok(part) = document::decode::<HeadPart>(head) else { return Ok(None) };
        let Some((leaves, listed)) = self.leaves(run, &part.pages).await? else { return Ok(None) };
        let found = self.parts(run, &leaves).await?;
        let mut archive = imbl::Vector::new();
        for page in &leaves {
            let items = found.get(&page.key).and_then(|data| document::decode::<Vec<Archived>>(data).ok());
            let Some(items) = items else { return Ok(None) };
            archive.extend(items);
        }
        let items = part.pages.iter().map(|page| page.items as usize).sum();
        archive.extend(part.rest);
        // The head counts other items than the pages have, so they are not of one snapshot.
        if part.head.archived != archive.len() as u64 {
            return Ok(None);
        }
        let mut state = Run::restore(run, part.head, archive);
        match self.attach(run, &mut state, None).await {
            Ok(()) => Ok(Some(Restored { state, pages: Pages { heads: part.pages, listed, items } })),
            // The head names a plan that does not exist, so it is damaged.
            Err(Unread::Lost(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Follows lists of pages down to the pages with items. Returns these, and every page that stands in a list.
    async fn leaves(&self, run: &RunId, heads: &[Page]) -> Result<Option<(Vec<Page>, Vec<Page>)>, Unread> {
        let (mut leaves, mut listed) = (heads.to_vec(), Vec::new());
        while leaves.iter().any(|page| page.level > 0) {
            let lists: Vec<Page> = leaves.iter().filter(|page| page.level > 0).cloned().collect();
            let found = self.parts(run, &lists).await?;
            let mut next = Vec::new();
            for page in leaves {
                if page.level == 0 {
                    next.push(page);
                    continue;
                }
                let list = found.get(&page.key).and_then(|data| document::decode::<Vec<Page>>(data).ok());
                // A list is of the level below: one that leads back would never end.
                let Some(list) = list.filter(|list| list.iter().all(|inner| inner.level < page.level)) else {
                    return Ok(None);
                };
                listed.extend(list.iter().cloned());
                next.extend(list);
            }
            leaves = next;
        }
        Ok(Some((leaves, listed)))
    }

    /// Reads the contents of pages, by key.
    async fn parts(&self, run: &RunId, pages: &[Page]) -> Result<BTreeMap<String, Bytes>, Unread> {
        let wanted: Vec<(String, u64)> = pages.iter().map(|page| (page.key.clone(), page.size)).collect();
        Ok(stored_values::load(&self.services, run, &wanted).await?)
    }
}

/// Writes the state as a snapshot: a new head, and a page when enough finished work has come together. The tail keeps
/// what is not `journaled`.
pub(super) fn fold(mem: &mut Mem, turn: &str, journaled: u64, made: &mut Vec<NewValue>) {
    let version = mem.doc.version();
    let mut rest: Vec<Archived> = mem.run.archive.iter().skip(mem.pages.items).cloned().collect();
    let data = encode(&rest, version);
    if data.len() > PAGE_SIZE {
        let page =
            Page { key: next_key(turn, made), size: data.len() as u64, items: rest.len() as u64, level: 0 };
        mem.pages.items += rest.len();
        add_page(&mut mem.pages, page, data, made);
        rest.clear();
        // Full levels become lists, so that the head names few pages.
        while let Some(n) = foldable(&mem.pages.heads) {
            let list = mem.pages.heads.split_off(mem.pages.heads.len() - n);
            let data = encode(&list, version);
            let items = list.iter().map(|page| page.items).sum();
            let level = list.first().map_or(0, |page| page.level) + 1;
            let page = Page { key: next_key(turn, made), size: data.len() as u64, items, level };
            mem.pages.listed.extend(list);
            add_page(&mut mem.pages, page, data, made);
        }
    }
    let part = HeadPart { head: mem.run.head(), pages: mem.pages.heads.clone(), rest };
    let (key, data) = (next_key(turn, made), Bytes::from(encode(&part, version)));
    mem.doc.snapshot = Some(Snapshot { key: key.clone(), size: data.len() as u64, seq: mem.doc.seq });
    made.push(NewValue { key, data, value: None });
    drop_tail(&mut mem.doc, &mut mem.sizes, journaled);
}

/// Returns a key that no other value of this turn has.
fn next_key(turn: &str, made: &[NewValue]) -> String {
    format!("{turn}.{}", made.len())
}

/// Adds a page to what is written, and to the head.
fn add_page(pages: &mut Pages, page: Page, data: Vec<u8>, made: &mut Vec<NewValue>) {
    made.push(NewValue { key: page.key.clone(), data: data.into(), value: None });
    pages.heads.push(page);
}

/// Drops the events that the snapshot includes and the catalog has.
fn drop_tail(doc: &mut Document, sizes: &mut Vec<usize>, journaled: u64) {
    let before = doc.tail.len();
    doc.drop_until(journaled.min(doc.seq));
    let dropped = before - doc.tail.len();
    sizes.drain(..dropped);
}
