//! Numbers that look random and are the same in each run, and what is made of those that were measured.

/// A Weyl sequence, mixed.
#[derive(Default)]
pub struct Numbers(u64);

impl Numbers {
    pub fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        ((u128::from(mixed ^ (mixed >> 32)) * u128::from(end)) >> 64) as u32
    }
}

/// The middle one; of none, 0.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value that so large a part of them does not exceed.
pub fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * part) as usize).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or_default()
}
