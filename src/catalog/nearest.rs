//! The known word that a mistyped one most resembles, for error messages.
//!
//! **Limits:** words of at most [`WORD_MAX_BYTES`]; longer ones resemble nothing. Cost: the product of the lengths
//! of both words, for each known word.

/// The known word nearest to `word`, if one is near enough to be meant; of several the first.
///
/// Letter case, `-`, `_` and `.` are ignored, so `dataDir` finds `data_dir`. Near enough is one edit for every three
/// letters of the longer word: an insertion, a deletion, a replacement, or two letters swapped.
///
/// ```
/// use nameplate::catalog::nearest::nearest;
/// assert_eq!(nearest("domian", ["datacenter", "domain"]), Some("domain"));
/// assert_eq!(nearest("colour", ["datacenter", "domain"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word)?;
    known
        .into_iter()
        .filter_map(|candidate| {
            let folded = folded(candidate)?;
            let edits = edit_distance(&word, &folded);
            (edits <= word.len().max(folded.len()) / 3).then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// The word as it is compared; none if it is too long.
fn folded(word: &str) -> Option<Vec<char>> {
    let separator = |letter: &char| matches!(letter, '-' | '_' | '.');
    (word.len() <= WORD_MAX_BYTES)
        .then(|| word.chars().filter(|letter| !separator(letter)).map(|letter| letter.to_ascii_lowercase()).collect())
}

/// Edits between two words, where swapping two neighbours is one edit (optimal string alignment).
fn edit_distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, &a) in from.iter().enumerate() {
        let mut next = Vec::with_capacity(to.len() + 1);
        next.push(i + 1);
        for (j, &b) in to.iter().enumerate() {
            let mut edits = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a == to[j - 1] && from[i - 1] == b {
                edits = edits.min(before[j - 1] + 1);
            }
            next.push(edits);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[to.len()]
}

/// Longest word that is compared. Source: none, chosen: longer than any key of ours or of Consul's, and short enough
/// that a body full of unknown keys costs little.
pub const WORD_MAX_BYTES: usize = 64;

#[cfg(test)]
#[path = "nearest_tests.rs"]
mod tests;
