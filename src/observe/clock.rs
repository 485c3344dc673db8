//! The time of day, as text for people and programs. Nothing is decided by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time now, as RFC 3339 has it, with milliseconds, in UTC.
#[allow(clippy::disallowed_methods, reason = "it is for people and programs, and nothing is decided by it")]
pub fn now() -> String {
    rfc3339(SystemTime::now())
}

/// The time of day so much later than now, as `23:59:59`, in UTC.
#[allow(clippy::disallowed_methods, reason = "it is for people, and nothing is decided by it")]
pub fn time_of_day_in(span: Duration) -> String {
    let at = SystemTime::now().checked_add(span).unwrap_or(UNIX_EPOCH);
    rfc3339(at)[11..19].to_owned()
}

/// A time as RFC 3339 has it, with milliseconds, in UTC.
pub(super) fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years are counted from March, so that the leap day is a year's last; 400 years have 146,097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}
