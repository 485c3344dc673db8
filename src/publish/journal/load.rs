//! Reads the whole file at start, on two threads if there are two cores: one from the first instance on, one from the
//! last one back, until they meet.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use crate::{
    catalog::state::InstanceEntry,
    publish::journal::{
        Document, StoredNode,
        decode::{self, Sharing},
        documents::is_told_again,
        encode,
        pending::NewestResult,
        problem::Problem,
        record::CountersRecord,
        store::{COUNTERS_KEY, DOCUMENTS, INSTANCES, META, NODE_UUID_KEY, NODES, RESULTS},
    },
};

/// All that the file holds.
pub(super) struct Loaded {
    pub(super) counters: CountersRecord,
    pub(super) node_uuid: Option<Arc<str>>,
    pub(super) nodes: Vec<StoredNode>,
    pub(super) instances: Vec<Arc<InstanceEntry>>,
    pub(super) documents: Vec<Document>,
    /// Keys of results whose check is no more.
    pub(super) orphans: Vec<Vec<u8>>,
}

/// Reads all of it, or says which table is damaged.
pub(super) fn load(database: &Database) -> Result<Loaded, Problem> {
    let (counters, node_uuid) = meta(database)?;
    let results = results(database)?;
    let newest = |node: &str, id: &str| results.newest(node, id);
    let nodes = nodes(database, &newest)?;
    let instances = instances(database, &results)?;
    let documents = documents(database)?;
    let orphans = results.0.into_iter().filter(|(_, (_, met))| !met.load(Ordering::Relaxed)).map(|(key, _)| key);
    Ok(Loaded { counters, node_uuid, nodes, instances, documents, orphans: orphans.collect() })
}

/// Results by key, each with whether its check was met.
struct Results(HashMap<Vec<u8>, (NewestResult, AtomicBool)>);

impl Results {
    fn newest(&self, node: &str, id: &str) -> Option<NewestResult> {
        if self.0.is_empty() {
            return None;
        }
        let (newest, met) = self.0.get(&encode::joined(node, id))?;
        met.store(true, Ordering::Relaxed);
        Some(newest.clone())
    }
}

fn meta(database: &Database) -> Result<(CountersRecord, Option<Arc<str>>), Problem> {
    let damaged = |error| Problem::Record { table: "meta", error };
    let table = database.begin_read()?.open_table(META)?;
    let counters = table.get(COUNTERS_KEY)?.ok_or_else(|| Problem::Torn("it has no counters".to_owned()))?;
    let counters = decode::opened(COUNTERS_KEY.as_bytes(), counters.value()).map_err(damaged)?;
    let uuid = match table.get(NODE_UUID_KEY)? {
        Some(value) => Some(decode::opened::<&str>(NODE_UUID_KEY.as_bytes(), value.value()).map_err(damaged)?.into()),
        None => None,
    };
    Ok((counters, uuid))
}

fn results(database: &Database) -> Result<Results, Problem> {
    let table = database.begin_read()?.open_table(RESULTS)?;
    let mut results = HashMap::with_capacity(capacity(table.len()?));
    for item in table.iter()? {
        let (key, value) = item?;
        let newest =
            decode::result(key.value(), value.value()).map_err(|error| Problem::Record { table: "results", error })?;
        results.insert(key.value().to_vec(), (newest, AtomicBool::new(false)));
    }
    complete("results", results.len(), table.len()?)?;
    Ok(Results(results))
}

fn nodes(database: &Database, newest: decode::Newest<'_>) -> Result<Vec<StoredNode>, Problem> {
    let table = database.begin_read()?.open_table(NODES)?;
    let mut sharing = Sharing::default();
    let mut nodes = Vec::new();
    for item in table.iter()? {
        let (key, value) = item?;
        let stored = decode::node(key.value(), value.value(), newest, &mut sharing)
            .map_err(|error| Problem::Record { table: "nodes", error })?;
        nodes.push(stored);
    }
    complete("nodes", nodes.len(), table.len()?)?;
    Ok(nodes)
}

fn documents(database: &Database) -> Result<Vec<Document>, Problem> {
    let table = database.begin_read()?.open_table(DOCUMENTS)?;
    let mut documents = Vec::with_capacity(capacity(table.len()?));
    for item in table.iter()? {
        let (key, value) = item?;
        let document = match decode::document(key.value(), value.value()) {
            // Who reads it finds that it is none, and says so.
            Err(_) if is_told_again(key.value()) => Document { key: key.value().to_vec(), bytes: Vec::new() },
            document => document.map_err(|error| Problem::Record { table: "documents", error })?,
        };
        documents.push(document);
    }
    complete("documents", documents.len(), table.len()?)?;
    Ok(documents)
}

fn instances(database: &Database, results: &Results) -> Result<Vec<Arc<InstanceEntry>>, Problem> {
    let total = database.begin_read()?.open_table(INSTANCES)?.len()?;
    let claimed = AtomicU64::new(0);
    let claim = || claimed.fetch_add(1, Ordering::Relaxed) < total;
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        let instances = half(database, results, &claim, Direction::Forth)?;
        complete("instances", instances.len(), total)?;
        return Ok(instances);
    }
    let (front, back) = std::thread::scope(|scope| {
        let back = scope.spawn(|| half(database, results, &claim, Direction::Back));
        let front = half(database, results, &claim, Direction::Forth);
        (front, back.join())
    });
    let back = back.map_err(|_| Problem::Torn("its structure makes no sense".to_owned()))?;
    let mut instances = front?;
    instances.extend(back?.into_iter().rev());
    complete("instances", instances.len(), total)?;
    Ok(instances)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forth,
    Back,
}

fn half(
    database: &Database,
    results: &Results,
    claim: &(dyn Fn() -> bool + Sync),
    direction: Direction,
) -> Result<Vec<Arc<InstanceEntry>>, Problem> {
    let table = database.begin_read()?.open_table(INSTANCES)?;
    let mut range = table.iter()?;
    let mut sharing = Sharing::default();
    let newest = |node: &str, id: &str| results.newest(node, id);
    let mut instances = Vec::with_capacity(capacity(table.len()? / 2));
    while claim() {
        let item = if direction == Direction::Forth { range.next() } else { range.next_back() };
        // Fewer than the table says: the count that is compared afterwards tells.
        let Some(item) = item else { break };
        let (key, value) = item?;
        let entry = decode::instance(key.value(), value.value(), &newest, &mut sharing)
            .map_err(|error| Problem::Record { table: "instances", error })?;
        instances.push(Arc::new(entry));
    }
    Ok(instances)
}

/// Room to begin with; the number in a damaged file may be anything.
fn capacity(records: u64) -> usize {
    usize::try_from(records.min(1 << 20)).unwrap_or(0)
}

fn complete(table: &'static str, found: usize, expected: u64) -> Result<(), Problem> {
    if found as u64 == expected {
        return Ok(());
    }
    Err(Problem::Torn(format!("table {table} has {found} records instead of {expected}")))
}
