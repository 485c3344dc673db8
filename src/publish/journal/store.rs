//! The redb file: how it is made, opened, written, and opened again after the disk failed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition, WriteTransaction};

use crate::{
    catalog::service::InstanceKey,
    publish::journal::{
        JournalError, JournalFailure, Place, Restored, Tuning, decode, encode,
        leisure::{Leisure, write_results},
        load,
        pending::{Pending, absent},
        problem::{Problem, refusal},
        record::CountersRecord,
        site::Site,
    },
};

/// The journal's file, open or waiting to be opened again.
#[derive(Debug)]
pub(super) struct Store {
    site: Site,
    path: Arc<str>,
    tuning: Tuning,
    /// None after a failure: redb refuses all work then until the file is opened anew.
    database: Option<Database>,
    /// What is on disk.
    counters: CountersRecord,
    /// The newest index that was handed in.
    index: u64,
}

/// Whether more commits follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    More,
    Last,
}

/// Migrates a file from one format to the next.
pub(super) type Step = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// The format that is written. A change of [`super::record`] or of the tables makes it one more.
pub(super) const FORMAT: u32 = 1 + STEPS.len() as u32;

/// The migrations: the first from format 1 to 2, and so on.
const STEPS: &[Step] = &[
    // Two kinds of checks more, behind the others: records stay as they are.
    |_| Ok(()),
    // Further names stand behind an instance's record, where there are any: records stay as they are.
    |_| Ok(()),
    // Documents: a table more.
    |transaction| transaction.open_table(DOCUMENTS).map(drop).map_err(redb::Error::from),
    // Policies and tokens: three kinds of documents more.
    |_| Ok(()),
    // More kinds of checks, behind the others, and what is kept of their outputs: records stay as they are.
    |_| Ok(()),
    // One origin more, behind the others, and whose a node is: records stay as they are.
    |_| Ok(()),
    // The revision of what machines share: a kind of document more.
    |_| Ok(()),
    // Events that are not for our node say so behind their record: records stay as they are.
    |_| Ok(()),
    // Names of a registry, and their serial: two kinds of documents more.
    |_| Ok(()),
];

/// `format`: 4 bytes, little-endian, in every format. `counters`, `node_uuid`: sealed records.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// By name.
pub(super) const NODES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("nodes");
/// By node, NUL, service ID.
pub(super) const INSTANCES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("instances");
/// Newest results by node, NUL, check ID, so that a flip rewrites no instance.
pub(super) const RESULTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("results");

/// By their keys, since format 4.
pub(super) const DOCUMENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("documents");

/// So many indexes are reserved on disk at a time.
///
/// Source: none, chosen: half of it is at hand at any time, which at 10,000 changes a second lasts 14 hours of a
/// failing disk; 9 million crashes fit into the integers that JSON readers keep exactly.
pub(super) const INDEX_BLOCK: u64 = 1_000_000_000;

/// So far ahead of the last written serial a crashed journal goes on.
///
/// Source: none, chosen: more than the publishes of the second that may be lost; as seconds, a quarter of an hour.
const SERIAL_SLACK: u32 = 1000;

impl Store {
    /// Opens or makes the file and reads it.
    pub(super) fn open(place: Place, tuning: Tuning) -> Result<(Store, Restored), JournalError> {
        Store::open_with_steps(place, tuning, STEPS)
    }

    /// As [`Store::open`], with other migrations.
    pub(super) fn open_with_steps(
        place: Place,
        tuning: Tuning,
        steps: &[Step],
    ) -> Result<(Store, Restored), JournalError> {
        let (site, fresh) = Site::prepare(place, tuning)?;
        let path = site.path();
        let known = 1 + u32::try_from(steps.len()).expect("a handful of migrations");
        let opened = guarded(|| {
            let database = site.open()?;
            let found = format(&database)?;
            if found > known {
                return Ok(Err(JournalError::Newer { path: path.clone(), found, known }));
            }
            migrate(&database, found, steps)?;
            let loaded = load::load(&database)?;
            Ok(Ok((database, loaded)))
        });
        let (database, loaded) = opened.map_err(|problem| refusal(&path, problem))??;
        let counters = loaded.counters;
        let mut store = Store {
            path: Arc::from(path.to_string_lossy()),
            index: counters.reserved_index,
            site,
            tuning,
            database: None,
            counters: counters.clone(),
        };
        let serial = if counters.clean { counters.serial } else { counters.serial.wrapping_add(SERIAL_SLACK) };
        let first = CountersRecord {
            reserved_index: counters.reserved_index.saturating_add(INDEX_BLOCK),
            serial,
            extinction_index: counters.extinction_index,
            clean: false,
        };
        guarded(|| Ok(begin(&database, tuning, &loaded.orphans, &first)?))
            .map_err(|problem| refusal(&path, problem))?;
        store.counters = first;
        store.database = Some(database);
        let restored = Restored {
            fresh,
            index: store.index,
            serial,
            extinction_index: counters.extinction_index,
            node_uuid: loaded.node_uuid,
            nodes: loaded.nodes,
            instances: loaded.instances,
            documents: loaded.documents,
        };
        Ok((store, restored))
    }

    /// The file, for people.
    pub(super) fn path(&self) -> Arc<str> {
        Arc::clone(&self.path)
    }

    /// Makes all of it durable in one transaction, or says why not; then the next attempt opens the file anew. Calls `rest`
    /// between pieces of what nobody waits for.
    pub(super) fn commit(
        &mut self,
        pending: &mut Pending,
        ending: Ending,
        rest: &dyn Fn(Duration),
    ) -> Result<(), JournalFailure> {
        if ending == Ending::More && !pending.dirty {
            return Ok(());
        }
        let counters = self.counters_after(pending, ending);
        let outcome = guarded(|| {
            let database = match self.database.take() {
                Some(database) => database,
                None => self.reopen(pending)?,
            };
            let transaction = start(&database, self.tuning)?;
            let leisure = Leisure::of(pending, ending);
            write(&transaction, pending, |spent| rest(leisure.after(spent)))?;
            if counters != self.counters {
                write_counters(&transaction, &counters)?;
            }
            transaction.commit().map_err(redb::Error::from)?;
            Ok(database)
        });
        match outcome {
            Ok(database) => {
                self.database = Some(database);
                self.counters = counters;
                if pending.dirty {
                    self.index = pending.index;
                }
                Ok(())
            }
            Err(problem) => {
                Err(JournalFailure { path: Arc::clone(&self.path), problem: Arc::from(problem.to_string()) })
            }
        }
    }

    fn counters_after(&self, pending: &Pending, ending: Ending) -> CountersRecord {
        let mut counters = self.counters.clone();
        let mut index = self.index;
        if pending.dirty {
            index = pending.index;
            counters.serial = pending.serial;
            counters.extinction_index = pending.extinction_index;
        }
        match ending {
            Ending::Last => {
                counters.reserved_index = index;
                counters.clean = true;
            }
            Ending::More => {
                if index.saturating_add(INDEX_BLOCK / 2) > counters.reserved_index {
                    counters.reserved_index = index.saturating_add(INDEX_BLOCK);
                }
            }
        }
        counters
    }

    /// Opens the file after a failure. What was forgotten and is not on disk need not be remembered any longer.
    fn reopen(&self, pending: &mut Pending) -> Result<Database, Problem> {
        let database = self.site.open()?;
        let found = format(&database)?;
        if found != FORMAT {
            return Err(Problem::Foreign(format!("it has become one of format {found}")));
        }
        let transaction = database.begin_read()?;
        let (nodes, instances) = (transaction.open_table(NODES)?, transaction.open_table(INSTANCES)?);
        for name in absent(&pending.nodes, |name| Ok(nodes.get(name.as_str())?.is_none()))? {
            pending.nodes.remove(&name);
        }
        let is_absent = |key: &InstanceKey| Ok(instances.get(encode::instance_key(key).as_slice())?.is_none());
        for key in absent(&pending.instances, is_absent)? {
            pending.instances.remove(&key);
        }
        let documents = transaction.open_table(DOCUMENTS)?;
        for key in absent(&pending.documents, |key| Ok(documents.get(key.as_slice())?.is_none()))? {
            pending.documents.remove(&key);
        }
        drop((nodes, instances, documents, transaction));
        Ok(database)
    }
}

pub(super) fn start(database: &Database, tuning: Tuning) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    // Also with a sync between the pages and the root that makes them valid: without it a root that the system still
    // has in memory after a failed sync could be taken for durable.
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(tuning.quick_repair);
    Ok(transaction)
}

pub(super) fn initialise(database: &Database, tuning: Tuning) -> Result<(), redb::Error> {
    let transaction = start(database, tuning)?;
    transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT.to_le_bytes().as_slice())?;
    transaction.open_table(NODES)?;
    transaction.open_table(INSTANCES)?;
    transaction.open_table(RESULTS)?;
    transaction.open_table(DOCUMENTS)?;
    write_counters(&transaction, &CountersRecord { clean: true, ..CountersRecord::default() })?;
    Ok(transaction.commit()?)
}

/// The file's format, which is where any format keeps it.
fn format(database: &Database) -> Result<u32, Problem> {
    let meta = database.begin_read()?.open_table(META)?;
    let value = meta.get(FORMAT_KEY)?.ok_or_else(|| Problem::Foreign("it names no format".to_owned()))?;
    match <[u8; 4]>::try_from(value.value()).map(u32::from_le_bytes) {
        Ok(found) if found > 0 => Ok(found),
        _ => Err(Problem::Foreign("it names a format that never was".to_owned())),
    }
}

/// All steps and the new number in one transaction: a crash leaves the old format whole.
fn migrate(database: &Database, found: u32, steps: &[Step]) -> Result<(), Problem> {
    let steps = &steps[(found as usize - 1).min(steps.len())..];
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = start(database, Tuning::default())?;
    for step in steps {
        step(&transaction)?;
    }
    let format = found + u32::try_from(steps.len()).expect("a handful of migrations");
    transaction.open_table(META)?.insert(FORMAT_KEY, format.to_le_bytes().as_slice())?;
    Ok(transaction.commit()?)
}

/// The first transaction of a life: reserves indexes before any is handed out.
fn begin(
    database: &Database,
    tuning: Tuning,
    orphans: &[Vec<u8>],
    counters: &CountersRecord,
) -> Result<(), redb::Error> {
    let transaction = start(database, tuning)?;
    {
        let mut results = transaction.open_table(RESULTS)?;
        for key in orphans {
            results.remove(key.as_slice())?;
        }
    }
    write_counters(&transaction, counters)?;
    Ok(transaction.commit()?)
}

fn write_counters(transaction: &WriteTransaction, counters: &CountersRecord) -> Result<(), redb::Error> {
    let value = encode::sealed(COUNTERS_KEY.as_bytes(), counters);
    transaction.open_table(META)?.insert(COUNTERS_KEY, value.as_slice())?;
    Ok(())
}

/// Writes nodes and instances, then results: those of a record that is rewritten are in the new record.
/// Calls `rest` after each piece of the results, with the time that it took.
fn write(transaction: &WriteTransaction, pending: &Pending, rest: impl Fn(Duration)) -> Result<(), redb::Error> {
    if let Some(uuid) = &pending.node_uuid {
        let value = encode::sealed(NODE_UUID_KEY.as_bytes(), &&**uuid);
        transaction.open_table(META)?.insert(NODE_UUID_KEY, value.as_slice())?;
    }
    let mut results = transaction.open_table(RESULTS)?;
    let has_results = !results.is_empty()?;
    let mut gone = write_nodes(transaction, pending)?;
    gone.extend(write_instances(transaction, pending)?);
    if has_results {
        for key in gone {
            results.remove(key.as_slice())?;
        }
    }
    write_results(&mut results, pending, rest)?;
    if pending.documents.is_empty() { Ok(()) } else { write_documents(transaction, pending) }
}

fn write_documents(transaction: &WriteTransaction, pending: &Pending) -> Result<(), redb::Error> {
    let mut documents = transaction.open_table(DOCUMENTS)?;
    let mut sorted: Vec<_> = pending.documents.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (key, bytes) in sorted {
        match bytes {
            Some(bytes) => documents.insert(key.as_slice(), encode::document(key, bytes).as_slice())?,
            None => documents.remove(key.as_slice())?,
        };
    }
    Ok(())
}

/// Returns the keys of the checks that the rewritten or removed records held.
fn write_nodes(transaction: &WriteTransaction, pending: &Pending) -> Result<Vec<Vec<u8>>, redb::Error> {
    let mut nodes = transaction.open_table(NODES)?;
    let mut gone = Vec::new();
    for (name, stored) in &pending.nodes {
        let name = name.as_str();
        let before = match stored {
            Some(stored) => nodes.insert(name, encode::node(name.as_bytes(), stored).as_slice())?,
            None => nodes.remove(name)?,
        };
        if let Some(before) = before {
            // A record that cannot be read is replaced all the same; its results are orphans until the next start.
            let checks = decode::checks_of_node(name.as_bytes(), before.value()).unwrap_or_default();
            gone.extend(checks.iter().map(|id| encode::joined(name, id)));
        }
    }
    Ok(gone)
}

/// Returns the keys of the checks that the rewritten or removed records held.
fn write_instances(transaction: &WriteTransaction, pending: &Pending) -> Result<Vec<Vec<u8>>, redb::Error> {
    let mut instances = transaction.open_table(INSTANCES)?;
    let mut gone = Vec::new();
    // Neighbours share pages, so that a page is visited once.
    let mut sorted: Vec<_> = pending.instances.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for (instance, entry) in sorted {
        let key = encode::instance_key(instance);
        let before = match entry {
            Some(entry) => instances.insert(key.as_slice(), encode::instance(&key, entry).as_slice())?,
            None => instances.remove(key.as_slice())?,
        };
        if let Some(before) = before {
            let checks = decode::checks_of_instance(&key, before.value()).unwrap_or_default();
            gone.extend(checks.iter().map(|id| encode::joined(instance.node.as_str(), id)));
        }
    }
    Ok(gone)
}

/// Runs work on the file; a panic in it, as redb has some on broken files, is a problem like others.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Problem::Torn("its structure makes no sense".to_owned())))
}

pub(super) const FORMAT_KEY: &str = "format";
pub(super) const COUNTERS_KEY: &str = "counters";
pub(super) const NODE_UUID_KEY: &str = "node_uuid";
