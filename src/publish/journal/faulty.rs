//! A storage in memory that fails on demand and forgets, at a power loss, what was not synced.

use std::{
    io,
    sync::{Arc, Mutex},
};

use redb::StorageBackend;

use crate::publish::journal::samples::Dice;

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Faulty(Arc<Inner>);

#[derive(Default)]
struct Inner {
    disk: Mutex<Disk>,
    at_sync: Mutex<Option<AtSync>>,
}

/// Is called at the begin of each sync, with images that a power loss at that moment may leave.
type AtSync = Box<dyn FnMut(Vec<Vec<u8>>) + Send>;

#[derive(Debug, Default)]
struct Disk {
    /// What a read sees.
    live: Vec<u8>,
    /// What survives a power loss for sure.
    durable: Vec<u8>,
    unsynced: Vec<Step>,
    syncs: u64,
    fault: Option<Fault>,
    dice: Dice,
}

#[derive(Debug)]
enum Step {
    Length(u64),
    Write(u64, Vec<u8>),
}

/// How the disk fails, until it is told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Writes and growing fail with this error number.
    Write(i32),
    /// Syncs fail with this error number, and what they should have written will never be on the disk, though reads
    /// see it: so does Linux.
    Sync(i32),
}

impl Faulty {
    pub(super) fn from_image(image: Vec<u8>) -> Faulty {
        let disk = Disk { live: image.clone(), durable: image, ..Disk::default() };
        Faulty(Arc::new(Inner { disk: Mutex::new(disk), at_sync: Mutex::default() }))
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.0.disk.lock().unwrap().fault = fault;
    }

    pub(super) fn at_sync(&self, hook: impl FnMut(Vec<Vec<u8>>) + Send + 'static) {
        *self.0.at_sync.lock().unwrap() = Some(Box::new(hook));
    }

    pub(super) fn syncs(&self) -> u64 {
        self.0.disk.lock().unwrap().syncs
    }

    /// What a power loss now would leave.
    pub(super) fn durable(&self) -> Vec<u8> {
        self.0.disk.lock().unwrap().durable.clone()
    }
}

impl Disk {
    /// Images after a power loss: nothing unsynced made it; all did; any sectors did, twice.
    fn crash_images(&mut self) -> Vec<Vec<u8>> {
        let mut images = vec![self.durable.clone()];
        if self.unsynced.is_empty() {
            return images;
        }
        images.push(self.after(|_| true));
        for _ in 0..2 {
            let mut dice = Dice(self.dice.0 + 1);
            let kept_in_ten = dice.roll(9) + 1;
            images.push(self.after(|_| dice.roll(10) < kept_in_ten));
            self.dice = dice;
        }
        images
    }

    fn after(&self, mut kept: impl FnMut(()) -> bool) -> Vec<u8> {
        let mut image = self.durable.clone();
        for step in &self.unsynced {
            match step {
                Step::Length(length) if kept(()) => image.resize(*length as usize, 0),
                Step::Length(_) => {}
                Step::Write(offset, data) => {
                    for (number, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                        if kept(()) {
                            put(&mut image, *offset as usize + number * SECTOR_BYTES, sector);
                        }
                    }
                }
            }
        }
        image
    }

    fn failing(&self, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            Some(Fault::Write(number) | Fault::Sync(number)) if self.fault == fault => {
                Err(io::Error::from_raw_os_error(number))
            }
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.disk.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.disk.lock().unwrap();
        let end = offset as usize + out.len();
        let found = disk.live.get(offset as usize..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut disk = self.0.disk.lock().unwrap();
        disk.failing(disk.fault.filter(|fault| matches!(fault, Fault::Write(_))))?;
        disk.live.resize(length as usize, 0);
        disk.unsynced.push(Step::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(hook) = &mut *self.0.at_sync.lock().unwrap() {
            let images = self.0.disk.lock().unwrap().crash_images();
            hook(images);
        }
        let mut disk = self.0.disk.lock().unwrap();
        disk.syncs += 1;
        let failed = disk.failing(disk.fault.filter(|fault| matches!(fault, Fault::Sync(_))));
        if failed.is_ok() {
            disk.durable = disk.after(|_| true);
        }
        disk.unsynced.clear();
        failed
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.0.disk.lock().unwrap();
        disk.failing(disk.fault.filter(|fault| matches!(fault, Fault::Write(_))))?;
        put(&mut disk.live, offset as usize, data);
        disk.unsynced.push(Step::Write(offset, data.to_vec()));
        Ok(())
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(data);
}

/// What a disk writes whole or not at all. Source: the smallest sector of disks in use.
const SECTOR_BYTES: usize = 512;
