//! Moments as Consul writes them: `2026-11-21T21:06:58Z` (RFC 3339), kept as seconds since 1970.
//!
//! **Limits:** years 1970 to 9999; what is below a second is left out.

use toml::value::{Datetime, Offset};

/// Reads a moment; none if it is none, or has no offset from UTC.
pub fn parse(text: &str) -> Option<u64> {
    seconds(&text.parse().ok()?)
}

/// The seconds of a moment that TOML has read; none if it has no date, time or offset.
pub fn seconds(moment: &Datetime) -> Option<u64> {
    let (date, time) = (moment.date?, moment.time?);
    let offset_minutes = match moment.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days_before(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let minutes = days * 1440 + i64::from(time.hour) * 60 + i64::from(time.minute) - offset_minutes;
    u64::try_from(minutes * 60 + i64::from(time.second.unwrap_or(0))).ok()
}

/// Writes a moment.
pub fn format(unix_secs: u64) -> String {
    let unix_secs = unix_secs.min(LAST);
    let (year, month, day) = date_of(i64::try_from(unix_secs / DAY_SECS).expect("LAST has fewer days"));
    let (hour, minute, second) = (unix_secs / 3600 % 24, unix_secs / 60 % 60, unix_secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days from 1970-01-01 to this date of the Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years that begin in March, so that the leap day is
/// the last of them, in eras of 400 years.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    year.div_euclid(400) * ERA_DAYS + day_of_era - DAYS_TO_1970
}

/// The reverse.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = of_era + days.div_euclid(ERA_DAYS) * 400 + i64::from(month <= 2);
    (year, month, day)
}

const DAY_SECS: u64 = 86_400;

/// 9999-12-31T23:59:59Z.
const LAST: u64 = 253_402_300_799;

/// Days of 400 years of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
