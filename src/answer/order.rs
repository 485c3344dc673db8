//! Choosing and ordering: a random order by weight, and samples where not everything is wanted or fits.
//!
//! Each of the chosen gets a key, drawn from the exponential distribution with its weight as rate; in the order of
//! their keys they stand as if drawn one after the other by weight (Efraimidis and Spirakis 2006). Where few of many
//! are wanted they are drawn from the table, which knows its sums, so that the cost follows the answer: a run of it from
//! a random place on where all weigh the same, else one by one.
//!
//! **Limits:** at most 4,200 records in one answer, which is more than 65,535 bytes hold.

use super::text::Text;
use crate::publish::snapshot::{Addressed, CHOSEN_TOGETHER_MAX, Measured, Member, Sum, Table, Trail, Walk};

/// What choosing needs; kept between queries so that none allocates.
#[derive(Debug)]
pub struct Scratch {
    random: Random,
    /// By which what is drawn first is probably found.
    trail: Trail,
    /// What an extended error is to say.
    pub text: Text,
    /// Addresses chosen.
    pub picks: Vec<Pick>,
    /// Places in a table of members, with what orders them.
    pub places: Vec<MemberPlace>,
    /// Room for lists of members.
    members: Vec<&'static Member>,
    /// Where the running sum of those that were drawn begins, and how much of it is theirs.
    spans: Vec<(u64, u64)>,
    seen: Box<[u32]>,
    /// How many slots of `seen` are in use: as few as do, because those of small answers stay in the cache.
    slots: usize,
    /// Which slots of `seen` are used, so that forgetting costs what was seen.
    used: Vec<u16>,
}

/// An address that was chosen.
#[derive(Debug, Clone, Copy)]
pub struct Pick {
    key: f32,
    /// Lower comes first, whatever the weights, but for weight 0.
    rank: u8,
    /// The address; the first four bytes of it for IPv4.
    pub address: [u8; 16],
    /// Its weight, where it was gathered one by one.
    pub weight: u64,
}

/// A member that was chosen, by its place in the table.
#[derive(Debug, Clone, Copy)]
pub struct MemberPlace {
    /// Lower comes first.
    pub priority: u16,
    /// Lower comes first within a priority.
    pub rank: u8,
    /// Where the target is spelled in the message.
    pub offset: u16,
    /// Orders those of one priority.
    pub key: f32,
    /// Its place.
    pub at: u32,
    /// A hash of its target.
    pub target: u32,
}

impl MemberPlace {
    /// Orders the chosen: by priority, then rank, then key.
    pub fn order(&self) -> u64 {
        // The bits of numbers that are not negative are in their order.
        u64::from(self.priority) << 40 | u64::from(self.rank) << 32 | u64::from(self.key.to_bits())
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch {
            random: Random(0),
            trail: Trail::NONE,
            text: Text::default(),
            picks: Vec::with_capacity(CHOSEN_MAX),
            places: Vec::with_capacity(CHOSEN_MAX),
            members: Vec::new(),
            spans: Vec::with_capacity(CHOSEN_MAX),
            seen: vec![0; SEEN_SLOTS].into(),
            slots: SEEN_SLOTS,
            used: Vec::with_capacity(SEEN_SLOTS / 2),
        }
    }
}

/// Random numbers of one response.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// A fresh one (wyrand's step with SplitMix64's finish).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `end`, which must not be 0; fair to 1 in 2^32 for all sizes of a table.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(end)) >> 64) as u64
    }
}

impl Scratch {
    /// Begins a response.
    pub fn begin(&mut self, random: u64, trail: Trail) {
        (self.random, self.trail) = (Random(random), trail);
        self.text.clear();
    }

    /// A random number below `end`: see [`Random::below`].
    pub fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    /// An empty list, which does not allocate once it was as long; to be handed back by [`Scratch::keep_members`].
    pub fn take_members<'m>(&mut self) -> Vec<&'m Member> {
        std::mem::take(&mut self.members)
    }

    /// Keeps the room of a list.
    pub fn keep_members(&mut self, mut members: Vec<&Member>) {
        members.clear();
        // Collected in place: nothing is in it, and references of all lifetimes are alike.
        self.members = members.into_iter().map(|_| -> &'static Member { unreachable!("the list is empty") }).collect();
    }

    /// A key for this weight: the smallest comes first. Weight 0 comes after all others.
    pub fn key(&mut self, weight: u64) -> f32 {
        // In (0, 1], so that the logarithm is finite.
        let unit = ((self.random.draw() >> 40) + 1) as f32 / (1u32 << 24) as f32;
        if weight == 0 { f32::MAX * (1.0 - unit / 2.0) } else { -unit.ln() / weight as f32 }
    }

    /// Fills [`Scratch::picks`] with `wanted` of the addresses, or all, in an order by weight.
    pub fn choose<const N: usize>(&mut self, table: &Table<Addressed<N>>, wanted: usize) {
        self.picks.clear();
        let wanted = wanted.min(CHOSEN_MAX);
        if table.len() > GATHER_FACTOR * wanted + GATHER_MIN {
            return self.draw(table, wanted);
        }
        match table.few() {
            Some(few) => self.picks.extend(few.map(Pick::of)),
            None => {
                let _ = table.each_from((0, Trail::NONE), &mut |each| {
                    self.picks.push(Pick::of(each));
                    Walk::Continue(())
                });
            }
        }
        self.order_picks(wanted);
    }

    /// Orders what was gathered, by weight, and keeps so many.
    pub fn order_picks(&mut self, wanted: usize) {
        let count = self.picks.len();
        let wanted = wanted.min(count);
        if self.picks.windows(2).all(|pair| (pair[0].weight, pair[0].rank) == (pair[1].weight, pair[1].rank)) {
            for at in 0..wanted.min(count.saturating_sub(1)) {
                let other = at + self.below((count - at) as u64) as usize;
                self.picks.swap(at, other);
            }
        } else {
            for at in 0..count {
                let weight = self.picks[at].weight;
                self.picks[at].key = self.key(weight);
            }
            let place = |pick: &Pick| (pick.weight == 0, pick.rank);
            let order = |left: &Pick, right: &Pick| place(left).cmp(&place(right)).then(left.key.total_cmp(&right.key));
            self.picks.sort_unstable_by(order);
        }
        self.picks.truncate(wanted);
    }

    /// Draws one by one, by weight, without drawing any twice; weight 0 only where nothing else is left.
    fn draw<const N: usize>(&mut self, table: &Table<Addressed<N>>, wanted: usize) {
        let sum = table.measure();
        if sum.is_even() {
            return self.take_run(table, wanted);
        }
        self.forget(wanted);
        let weighty = (sum.count - sum.weightless) as usize;
        self.draw_part(table, (wanted.min(weighty), sum.weight), |sum| sum.weight);
        self.draw_part(table, (wanted, sum.weightless.into()), |sum| sum.weightless.into());
    }

    /// Takes so many that lie side by side in the table, from a random place on, where all weigh the same: each is as
    /// likely as any other. The table is a random permutation, so what comes together with it is nothing that anybody
    /// chose; drawing each for itself would cost several times as much.
    fn take_run<const N: usize>(&mut self, table: &Table<Addressed<N>>, wanted: usize) {
        let start = self.below(table.len() as u64) as usize;
        let _ = table.each_from((start, self.trail), &mut |each| {
            self.picks.push(Pick::of(each));
            if self.picks.len() < wanted { Walk::Continue(()) } else { Walk::Break(()) }
        });
        self.order_picks(wanted);
    }

    /// Draws by a part of the sum until so many are picked, or nothing of the `whole` is left.
    fn draw_part<const N: usize>(
        &mut self,
        table: &Table<Addressed<N>>,
        (until, whole): (usize, u64),
        part: impl Fn(Sum) -> u64,
    ) {
        self.spans.clear();
        // Most draws find one that was not drawn before. Where few have nearly all the weight most do not, and then
        // what was drawn is left out of the sum: that costs more a draw, and none is in vain.
        let mut tries = 4 * until + 16;
        let mut drawn = 0;
        let mut targets = [0; CHOSEN_TOGETHER_MAX];
        while self.picks.len() < until && drawn < whole && tries > 0 {
            let together = (until - self.picks.len()).min(tries).min(CHOSEN_TOGETHER_MAX);
            tries -= together;
            targets[..together].fill_with(|| self.below(whole));
            table.choose_all(&targets[..together], &part, |chosen| {
                if let Some((value, before)) = chosen
                    && self.take(value)
                {
                    drawn += part(value.measure());
                    self.spans.push((before, part(value.measure())));
                }
            });
        }
        if self.picks.len() < until {
            self.spans.sort_unstable();
        }
        while self.picks.len() < until && drawn < whole {
            let target = self.below_undrawn(whole - drawn);
            let Some((value, before)) = table.choose(target, &part) else { return };
            if self.take(value) {
                let weight = part(value.measure());
                drawn += weight;
                self.spans.insert(self.spans.partition_point(|span| span.0 < before), (before, weight));
            }
        }
    }

    /// A place in the running sum that is nobody's who was drawn; `left` is how much of it there is.
    fn below_undrawn(&mut self, left: u64) -> u64 {
        let mut target = self.below(left);
        for (before, weight) in &self.spans {
            if target < *before {
                break;
            }
            target += weight;
        }
        target
    }

    /// Picks an address; false if it is picked already.
    fn take<const N: usize>(&mut self, drawn: &Addressed<N>) -> bool {
        let pick = Pick::of(drawn);
        let is_new = self.see(hash(&pick.address), |picks, at| picks[at].address == pick.address);
        if is_new {
            self.picks.push(pick);
        }
        is_new
    }

    /// Notes what is about to be pushed on `picks`; false if it is there already.
    fn see(&mut self, hash: u32, same: impl Fn(&[Pick], usize) -> bool) -> bool {
        let mut slot = self.slot(hash);
        while self.seen[slot] != 0 {
            if same(&self.picks, self.seen[slot] as usize - 1) {
                return false;
            }
            slot = self.slot(slot as u32 + 1);
        }
        self.seen[slot] = self.picks.len() as u32 + 1;
        self.used.push(slot as u16);
        true
    }

    /// Clears what [`Scratch::is_new`] has seen; up to so many will be seen next.
    pub fn forget(&mut self, next: usize) {
        for slot in self.used.drain(..) {
            self.seen[usize::from(slot)] = 0;
        }
        self.slots = (2 * next).next_power_of_two().clamp(SEEN_SLOTS_MIN, SEEN_SLOTS);
    }

    /// The slot where the search for a number begins.
    fn slot(&self, number: u32) -> usize {
        number as usize & (self.slots - 1)
    }

    /// Whether this number, which must not be 0, was not seen since [`Scratch::forget`]; it is now.
    pub fn is_new(&mut self, number: u32) -> bool {
        if self.used.len() >= self.slots / 2 {
            return true;
        }
        let mut slot = self.slot(number);
        while self.seen[slot] != 0 {
            if self.seen[slot] == number {
                return false;
            }
            slot = self.slot(slot as u32 + 1);
        }
        self.seen[slot] = number;
        self.used.push(slot as u16);
        true
    }

    /// Begins to gather picks one by one, up to so many.
    pub fn begin_gathering(&mut self, most: usize) {
        self.picks.clear();
        self.forget(most);
    }

    /// Puts an address among the picks; one that is there already gains the weight.
    pub fn gather(&mut self, address: [u8; 16], weight: u64, rank: u8) {
        let mut slot = self.slot(hash(&address));
        while self.seen[slot] != 0 {
            let pick = &mut self.picks[self.seen[slot] as usize - 1];
            if pick.address == address {
                pick.weight += weight;
                pick.rank = pick.rank.min(rank);
                return;
            }
            slot = self.slot(slot as u32 + 1);
        }
        if self.picks.len() < CHOSEN_MAX {
            self.seen[slot] = self.picks.len() as u32 + 1;
            self.used.push(slot as u16);
            self.picks.push(Pick { key: 0.0, rank, address, weight });
        }
    }
}

impl Pick {
    fn of<const N: usize>(addressed: &Addressed<N>) -> Pick {
        let mut address = [0; 16];
        address[..N].copy_from_slice(&addressed.address);
        Pick { key: 0.0, rank: 0, address, weight: addressed.weight }
    }
}

fn hash(address: &[u8; 16]) -> u32 {
    let number = u128::from_be_bytes(*address);
    let folded = (number >> 64) as u64 ^ number as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// Most records in one answer: an A record has 16 bytes, a message 65,535.
pub const CHOSEN_MAX: usize = 4200;

/// Slots for telling what was seen; twice as many as are ever used.
const SEEN_SLOTS: usize = 16_384;

/// Fewest of those slots. Source: none, chosen: four cache lines.
const SEEN_SLOTS_MIN: usize = 64;

/// All are gathered when there are at most so many times those that are wanted, and some more.
/// Source: none, chosen: gathering one costs about a fifth of drawing one.
const GATHER_FACTOR: usize = 4;

/// See [`GATHER_FACTOR`].
const GATHER_MIN: usize = 16;

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
