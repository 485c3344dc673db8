//! The power goes at every sync of random runs: what was acknowledged is there, and the rest is there by whole
//! batches, in order, or not at all.

use std::sync::{Mutex, mpsc};

use super::{
    faulty::Faulty,
    samples::{Dice, Model},
    tests::{Acknowledged, open, waiting},
    *,
};

/// What the run did so far, shared with the disk.
#[derive(Default)]
struct Run {
    /// The model after each batch, from none on.
    models: Vec<Model>,
    /// Batches with a receiver not heard from yet.
    waiting: Vec<(u64, Acknowledged)>,
    /// The newest batch that was acknowledged.
    acknowledged: u64,
    images: usize,
    /// What was wrong; a panic in the disk would be taken for its failure.
    wrong: Vec<String>,
}

/// Most syncs of one recovery, far above what redb needs.
const RECOVERY_SYNCS_MAX: usize = 256;

impl Run {
    /// The power goes, leaving this image.
    fn power_loss(&mut self, image: Vec<u8>) {
        self.images += 1;
        let acknowledged = &mut self.acknowledged;
        self.waiting.retain_mut(|(batch, receiver)| match receiver.try_recv() {
            Ok(outcome) => {
                *acknowledged = if outcome.is_ok() { *batch } else { *acknowledged };
                false
            }
            Err(_) => true,
        });
        let disk = Faulty::from_image(image);
        // Once more, at each sync of the recovery itself.
        let (sender, again) = mpsc::sync_channel(RECOVERY_SYNCS_MAX);
        disk.at_sync(move |mut images| {
            let sent = sender.try_send(images.pop());
            assert!(!matches!(sent, Err(mpsc::TrySendError::Full(_))), "a recovery syncs a few times only");
        });
        self.look(&disk);
        if self.images.is_multiple_of(8) {
            for image in again.try_iter().flatten() {
                self.look(&Faulty::from_image(image));
            }
        }
    }

    fn look(&mut self, disk: &Faulty) {
        let restored = match store::Store::open(Place::Backend(Box::new(disk.clone())), Tuning::default()) {
            Ok((_, restored)) => restored,
            Err(error) => return self.wrong.push(error.to_string()),
        };
        let handed_out = self.models.last().unwrap();
        let batch = restored.extinction_index;
        if batch < self.acknowledged || batch > handed_out.batches {
            return self.wrong.push(format!("batch {batch}, acknowledged {}", self.acknowledged));
        }
        let expected = &self.models[batch as usize];
        if Model::of(&restored, expected.index) != *expected {
            self.wrong.push(format!("batch {batch} is not whole"));
        }
        if restored.index < handed_out.index || restored.serial < handed_out.batches as u32 {
            self.wrong.push(format!("index {} or serial {} goes backwards", restored.index, restored.serial));
        }
    }
}

#[track_caller]
fn check(seed: u64, batches: usize) {
    let disk = Faulty::default();
    let run = Arc::new(Mutex::new(Run { models: vec![Model::default()], ..Run::default() }));
    let (journal, _) = open(&disk);
    {
        let run = Arc::clone(&run);
        disk.at_sync(move |images| {
            let mut run = run.lock().unwrap();
            for image in images {
                run.power_loss(image);
            }
        });
    }
    let mut dice = Dice(seed);
    let mut model = Model::default();
    for _ in 0..batches {
        let (sender, receiver) = waiting();
        let (heard, durable) = waiting();
        let batch = model.batch(&mut dice);
        // Now and then one waits, so that not all goes in one commit.
        let waits = batch.urgent && dice.roll(2) == 0;
        {
            let mut run = run.lock().unwrap();
            run.models.push(model.clone());
            run.waiting.push((model.batches, receiver));
        }
        journal.write(Batch { acknowledge: vec![sender, heard], ..batch });
        if waits {
            durable.blocking_recv().unwrap().unwrap();
        }
    }
    journal.close().unwrap();
    let run = run.lock().unwrap();
    assert!(run.wrong.is_empty(), "seed {seed}: {:#?}", run.wrong);
    assert!(run.images > batches, "only {} power losses", run.images);
}

#[test]
fn a_power_loss_at_any_sync_loses_nothing_acknowledged_and_leaves_nothing_half_written() {
    for seed in 0..3 {
        check(seed, 18);
    }
}
