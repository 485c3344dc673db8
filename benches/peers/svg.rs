//! Pictures of bars and lines, as SVG that needs nothing else.

use std::fmt::Write as _;

/// A picture of rows with bars, of which each may have several parts, one behind the other.
pub struct Bars<'a> {
    pub title: &'a str,
    /// What the parts are.
    pub parts: &'a [&'a str],
    /// A word for each row, and its parts.
    pub rows: Vec<(String, Vec<f64>)>,
    pub decimals: usize,
}

/// A picture of lines over a few points, the same for all of them.
pub struct Lines<'a> {
    pub title: &'a str,
    pub points: &'a [&'a str],
    /// A word for each line, and its values.
    pub lines: Vec<(String, Vec<f64>)>,
    pub decimals: usize,
}

impl Bars<'_> {
    pub fn draw(&self) -> String {
        let height = TOP + ROW * self.rows.len() as f64 + LEGEND;
        let mut svg = head(self.title, height);
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let most = self.rows.iter().map(|(_, values)| sum(values)).fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - LEFT - RIGHT) / most;
        for (row, (label, values)) in self.rows.iter().enumerate() {
            let y = TOP + ROW * row as f64;
            let mut x = LEFT;
            text(&mut svg, (LEFT - 8.0, y + 15.0), "end", label);
            for (value, color) in values.iter().zip(COLORS) {
                let width = value * scale;
                add(
                    &mut svg,
                    &format!(r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="20" fill="{color}"/>"#),
                );
                x += width;
            }
            let told: Vec<String> = values.iter().map(|value| number(*value, self.decimals)).collect();
            text(&mut svg, (x + 6.0, y + 15.0), "start", &told.join(" + "));
        }
        if self.parts.len() > 1 {
            legend(&mut svg, self.parts.iter().copied(), height - 10.0);
        }
        svg + "</svg>\n"
    }
}

impl Lines<'_> {
    pub fn draw(&self) -> String {
        let (height, bottom) = (340.0, 290.0);
        let mut svg = head(self.title, height);
        let most = self.lines.iter().flat_map(|(_, values)| values).copied().fold(f64::MIN_POSITIVE, f64::max);
        let (first, last) = (LEFT + 20.0, WIDTH - RIGHT);
        let x = |at: usize| first + (last - first) * at as f64 / (self.points.len() - 1) as f64;
        let y = |value: f64| bottom - (bottom - TOP) * value / most;
        for part in 0..=4 {
            let value = most * f64::from(part) / 4.0;
            let at = y(value);
            add(&mut svg, &format!(r##"<path d="M{first} {at:.1}H{last}" stroke="#ddd"/>"##));
            text(&mut svg, (first - 8.0, at + 4.0), "end", &number(value, self.decimals));
        }
        for (at, point) in self.points.iter().enumerate() {
            text(&mut svg, (x(at), bottom + 18.0), "middle", point);
        }
        for ((_, values), color) in self.lines.iter().zip(COLORS) {
            let points: Vec<String> =
                values.iter().enumerate().map(|(at, value)| format!("{:.1},{:.1}", x(at), y(*value))).collect();
            let points = points.join(" ");
            add(&mut svg, &format!(r#"<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>"#));
            for (at, value) in values.iter().enumerate() {
                let (x, y) = (x(at), y(*value));
                add(&mut svg, &format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{color}"/>"#));
            }
        }
        legend(&mut svg, self.lines.iter().map(|(label, _)| label.as_str()), height - 10.0);
        svg + "</svg>\n"
    }
}

fn head(title: &str, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    add(&mut svg, &format!(r#"<rect width="{WIDTH}" height="{height}" fill="white"/>"#));
    add(&mut svg, &format!(r#"<text x="12" y="24" font-size="15" font-weight="bold">{}</text>"#, escape(title)));
    svg
}

fn legend<'a>(svg: &mut String, labels: impl Iterator<Item = &'a str>, y: f64) {
    let mut x = LEFT + 20.0;
    for (label, color) in labels.zip(COLORS) {
        let top = y - 10.0;
        add(svg, &format!(r#"<rect x="{x:.1}" y="{top:.1}" width="12" height="12" fill="{color}"/>"#));
        text(svg, (x + 18.0, y), "start", label);
        x += 40.0 + 8.0 * label.len() as f64;
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    add(svg, &format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escape(words)));
}

fn add(svg: &mut String, element: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "{element}");
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

fn number(value: f64, decimals: usize) -> String {
    if decimals == 0 { crate::sections::thousands(value) } else { format!("{value:.decimals$}") }
}

const WIDTH: f64 = 720.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 44.0;
const ROW: f64 = 30.0;
const LEGEND: f64 = 30.0;

/// Told apart by people who see few colours, too. Source: the palette of Okabe and Ito.
const COLORS: [&str; 4] = ["#0072b2", "#e69f00", "#009e73", "#999999"];
