//! Values and snapshot parts under keys of their own: write-once, in chunks that fit the sidecar's messages.

use crate::services::Services;
use bytes::{Bytes, BytesMut};
use callboard_core::{
    Datum, Hash, ValueRef,
    id::RunId,
    value::{INLINE_LIMIT, json_len},
};
use callboard_sidecar::client::{Error, Fence, Save, Ttl};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A key holds at most this much.
const CHUNK: usize = 1 << 20;
/// A message carries at most this much: the sidecar's limit is 4 MiB.
const MESSAGE: usize = 2 << 20;

/// A value made by this turn.
#[derive(Debug, Clone)]
pub struct NewValue {
    pub key: String,
    pub data: Bytes,
    pub value: Option<Arc<Value>>,
}

/// Returns the names of a value's chunks.
fn chunks(name: &str, size: usize) -> impl Iterator<Item = String> + '_ {
    let n = size.div_ceil(CHUNK).max(1);
    (0..n).map(move |i| if i == 0 { name.to_owned() } else { format!("{name}.{i}") })
}

/// Moves every datum larger than `INLINE_LIMIT` out under a key of `turn`.
pub fn move_out(data: Vec<&mut Datum>, turn: &str, made: &mut Vec<NewValue>) {
    for datum in data {
        let Datum::Inline(value) = datum else { continue };
        if json_len(value) > INLINE_LIMIT {
            *datum = store(value.clone(), turn, made);
        }
    }
}

/// Gives a value a key of `turn`, whatever its size.
pub fn store(value: Arc<Value>, turn: &str, made: &mut Vec<NewValue>) -> Datum {
    let data = Bytes::from(value.to_string());
    let name = format!("{turn}.{}", made.len());
    let reference = ValueRef { key: name.clone(), hash: Hash::of(&data), size: data.len() as u64 };
    made.push(NewValue { key: name, data, value: Some(value) });
    Datum::Stored(reference)
}

/// Saves values, several in a message where they fit.
pub async fn save(services: &Services, run: &RunId, made: &[NewValue]) -> Result<(), Error> {
    let mut batch = Vec::new();
    let mut size = 0;
    for value in made {
        for (i, name) in chunks(&value.key, value.data.len()).enumerate() {
            let end = ((i + 1) * CHUNK).min(value.data.len());
            let data = value.data.slice(i * CHUNK..end);
            if size + data.len() > MESSAGE {
                services.sidecar.save(&services.settings.statestore, std::mem::take(&mut batch)).await?;
                size = 0;
            }
            size += data.len();
            let ttl = Ttl::Seconds(services.settings.value_ttl);
            batch.push(Save { key: run.value_key(&name), data, fence: Fence::None, ttl });
        }
    }
    services.sidecar.save(&services.settings.statestore, batch).await
}

/// Loads values by name and size; those that are missing or damaged are absent from the answer.
pub async fn load(
    services: &Services,
    run: &RunId,
    wanted: &[(String, u64)],
) -> Result<BTreeMap<String, Bytes>, Error> {
    let mut found: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut batch: Vec<String> = Vec::new();
    let mut size = 0usize;
    let all = wanted.iter().flat_map(|(name, size)| {
        let size = usize::try_from(*size).unwrap_or(usize::MAX).min(callboard_core::value::VALUE_LIMIT);
        chunks(name, size).map(move |chunk| (chunk, size.min(CHUNK))).collect::<Vec<_>>()
    });
    for (name, bytes) in all {
        if size + bytes > MESSAGE && !batch.is_empty() {
            fetch(services, run, std::mem::take(&mut batch), &mut found).await?;
            size = 0;
        }
        size += bytes;
        batch.push(name);
    }
    fetch(services, run, batch, &mut found).await?;
    let mut out = BTreeMap::new();
    for (name, size) in wanted {
        let size = usize::try_from(*size).unwrap_or(usize::MAX);
        let parts: Option<Vec<&Bytes>> = chunks(name, size).map(|chunk| found.get(&chunk)).collect();
        let Some(parts) = parts else { continue };
        let data = match parts.as_slice() {
            [one] => (*one).clone(),
            several => {
                let mut joined = BytesMut::with_capacity(size);
                several.iter().for_each(|part| joined.extend_from_slice(part));
                joined.freeze()
            }
        };
        out.insert(name.clone(), data);
    }
    Ok(out)
}

/// Puts a value together from what stands under its keys; nothing if a chunk is missing.
pub fn joined(run: &RunId, name: &str, size: u64, stored: &dyn Fn(&str) -> Option<Bytes>) -> Option<Bytes> {
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(callboard_core::value::VALUE_LIMIT);
    let mut joined = BytesMut::new();
    for chunk in chunks(name, size) {
        joined.extend_from_slice(&stored(&run.value_key(&chunk))?);
    }
    Some(joined.freeze())
}

async fn fetch(
    services: &Services,
    run: &RunId,
    names: Vec<String>,
    found: &mut BTreeMap<String, Bytes>,
) -> Result<(), Error> {
    match names.as_slice() {
        [] => {}
        [one] => {
            if let Some(entry) =
                services.sidecar.get(&services.settings.statestore, &run.value_key(one)).await?
            {
                found.insert(one.clone(), entry.data);
            }
        }
        several => {
            let keys = several.iter().map(|name| run.value_key(name)).collect();
            let entries = services.sidecar.get_bulk(&services.settings.statestore, keys).await?;
            for name in several {
                if let Some(entry) = entries.get(&run.value_key(name)) {
                    found.insert(name.clone(), entry.data.clone());
                }
            }
        }
    }
    Ok(())
}

/// Deletes values by name and size. What a lost call leaves behind goes by its TTL.
pub async fn delete(services: &Services, run: &RunId, names: &[(String, u64)]) -> Result<(), Error> {
    let keys: Vec<String> = names
        .iter()
        .flat_map(|(name, size)| {
            let size = usize::try_from(*size).unwrap_or(0);
            chunks(name, size).map(|chunk| run.value_key(&chunk)).collect::<Vec<_>>()
        })
        .collect();
    for some in keys.chunks(256) {
        services.sidecar.delete_bulk(&services.settings.statestore, some.to_vec()).await?;
    }
    Ok(())
}
