use super::*;
use crate::catalog::check::CheckKind;

/// Thresholds for passing, warning and critical; results as `p`, `w`, `c`; statuses likewise, `-` for one that stays.
#[track_caller]
fn check(thresholds: [u32; 3], results: &str, statuses: &str) {
    let definition = CheckDefinition {
        success_before_passing: thresholds[0],
        failures_before_warning: thresholds[1],
        failures_before_critical: thresholds[2],
        ..CheckDefinition::unprobed(CheckKind::External)
    };
    let mut counted = Thresholds::new(&definition);
    let results = results.chars().map(|letter| match letter {
        'p' => CheckStatus::Passing,
        'w' => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    });
    let letters: String = results
        .map(|result| match counted.count(&definition, result) {
            Some(CheckStatus::Passing) => 'p',
            Some(CheckStatus::Warning) => 'w',
            Some(CheckStatus::Critical) => 'c',
            None => '-',
        })
        .collect();
    assert_eq!(letters, statuses);
}

#[test]
fn without_thresholds_every_result_counts() {
    check([0, 0, 0], "pcwcp", "pcwcp");
    check([1, 1, 1], "pcwcp", "pcwcp");
}

#[test]
fn the_first_result_counts_at_once() {
    check([3, 3, 3], "p", "p");
    check([3, 3, 3], "c", "c");
    check([3, 3, 3], "w", "w");
}

#[test]
fn failures_count_only_in_a_row() {
    check([0, 3, 3], "pccpccc", "p--p--c");
}

#[test]
fn successes_count_only_in_a_row() {
    check([3, 0, 0], "cppcppp", "c--c--p");
}

#[test]
fn a_warning_result_is_a_success() {
    check([2, 3, 3], "cwwcp", "c-w--");
}

#[test]
fn failures_pass_through_warning_before_critical() {
    check([0, 2, 4], "pccccc", "p-wwcc");
}

#[test]
fn warning_comes_with_critical_when_it_has_no_threshold() {
    check([0, 0, 3], "pccc", "p--c");
}

#[test]
fn what_another_machine_found_goes_on_to_count() {
    let definition = CheckDefinition {
        success_before_passing: 2,
        failures_before_critical: 2,
        ..CheckDefinition::unprobed(CheckKind::External)
    };
    let (passing, critical) = (CheckStatus::Passing, CheckStatus::Critical);
    for (status, other) in [(passing, critical), (critical, passing)] {
        let mut counted = Thresholds::handed(&definition, status);
        assert_eq!(counted.count(&definition, other), None, "one is not enough");
        assert_eq!(counted.count(&definition, other), Some(other));
        let mut counted = Thresholds::handed(&definition, status);
        assert_eq!(counted.count(&definition, status), Some(status));
    }
}
