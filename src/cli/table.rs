//! Tables for people.
//!
//! **Limits:** columns are as wide as their longest cell by characters; a cell is one line of at most
//! [`CELL_MAX_CHARS`], without control characters, so that nothing a service says can reach the terminal's controls.

/// A head and rows, as text with aligned columns; nothing but the head if there are no rows.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What of a text stands in a cell: its first line, cut and without control characters; `-` for nothing.
pub(super) fn shown(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let mut shown: String =
        line.chars().take(CELL_MAX_CHARS).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.chars().nth(CELL_MAX_CHARS).is_some() {
        shown.push_str("...");
    }
    if shown.is_empty() { "-".to_owned() } else { shown }
}

/// Longest cell. Source: none, chosen: longer than most names, shorter than an error page.
const CELL_MAX_CHARS: usize = 100;
