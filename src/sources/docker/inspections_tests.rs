use super::*;

#[test]
fn a_container_that_is_heard_of_often_is_inspected_once() {
    let mut inspections = Inspections::default();
    inspections.listed("a");
    inspections.heard_of("a");
    inspections.heard_of("a");
    inspections.listed("a");
    assert_eq!(inspections.next().as_deref(), Some("a"));
    assert_eq!(inspections.next(), None);
    assert!(inspections.ended("a"));
    assert_eq!(inspections.next(), None);
}

#[test]
fn what_was_inspected_before_something_was_heard_does_not_count() {
    let mut inspections = Inspections::default();
    inspections.heard_of("a");
    assert_eq!(inspections.next().as_deref(), Some("a"));
    inspections.heard_of("a");
    inspections.listed("a");
    assert_eq!(inspections.next(), None, "not twice at once");
    assert!(!inspections.ended("a"));
    assert_eq!(inspections.next().as_deref(), Some("a"));
    assert!(inspections.ended("a"));
}

#[test]
fn what_was_heard_of_comes_first_and_has_room_of_its_own() {
    let mut inspections = Inspections::default();
    for number in 0..RUNNING_MAX {
        inspections.listed(&format!("listed{number:02}"));
    }
    let begun: Vec<_> = std::iter::from_fn(|| inspections.next()).collect();
    assert_eq!(begun.len(), LISTED_MAX);
    for number in 0..RUNNING_MAX {
        inspections.heard_of(&format!("heard{number:02}"));
    }
    let begun: Vec<_> = std::iter::from_fn(|| inspections.next()).collect();
    assert_eq!(begun.len(), RUNNING_MAX - LISTED_MAX);
    assert!(begun.iter().all(|id| id.starts_with("heard")));
    assert!(inspections.ended("listed00"));
    assert!(inspections.next().is_some_and(|id| id.starts_with("heard")));
}
