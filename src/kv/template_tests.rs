use proptest::prelude::*;

use super::*;
use crate::kv::query::Template;

/// A template for names that begin with `geo-`.
fn template(regexp: &str) -> Query {
    let template = Template { regexp: Expression::new(regexp.into()).unwrap(), remove_empty_tags: false };
    Query { id: "1".into(), name: "geo-".into(), template: Some(template), ..Query::default() }
}

#[track_caller]
fn check(regexp: &str, name: &str, text: &str, filled: &str) {
    let query = template(regexp);
    let filling = Filling::new(&query, name);
    assert_eq!(filling.text(&text.into()), filled);
    assert_eq!(filling.text_in(text, &mut [0; 64]), Some(filled));
    assert!(filling.is(text, filled) && !filling.is(text, &format!("{filled}x")));
    assert!(filling.pieces(text).all(|piece| !piece.is_empty()));
}

#[test]
fn a_template_is_filled_in_from_the_name() {
    let regexp = "^geo-(.*?)-([^\\-]+?)$";
    check(regexp, "geo-db-primary", "${match(1)}", "db");
    check(regexp, "geo-db-primary", "${ match( 2 ) }/${match(0)}", "primary/geo-db-primary");
    check(regexp, "geo-db-primary", "${match(9)}", "");
    check(regexp, "geo-x", "${match(1)}", "");
    check("", "geo-x", "<${name.full}>${name.prefix}|${name.suffix}", "<geo-x>geo-|x");
    check("", "geo-x", "${agent.segment}", "");
    check("(?i)GEO-(é+)", "geo-éé", "${match(1)}", "éé");
}

#[test]
fn two_dollars_are_one_and_nothing_is_filled_in() {
    check("", "geo-x", "$${name.full}", "${name.full}");
    check("", "geo-x", "a$${x}$${y}z", "a${x}${y}z");
    check("", "geo-x", "$$${x}", "$${x}");
    check("", "geo-x", "$$$", "$$$");
    check("(.*)", "geo-x$", "${match(1)}${name.suffix}", "geo-x$x$");
}

#[test]
fn what_is_no_template_is_not_filled_in() {
    let query = Query { template: None, ..template("") };
    let filling = Filling::new(&query, "geo-x");
    assert_eq!(filling.text(&"${name.full}".into()), "${name.full}");
    assert!(filling.is("${name.full}", "${name.full}"));
}

#[test]
fn tags_are_compared_in_any_letter_case_and_denied_by_a_mark() {
    let query = template("^geo-(.*)$");
    let filling = Filling::new(&query, "geo-blue");
    for (text, fits) in [
        ("${match(1)}", true),
        ("!${match(1)}", false),
        ("V${name.suffix}", true),
        ("!green", true),
        ("green", false),
        ("blu", false),
        ("blues", false),
        ("${match(2)}", false),
        ("!", true),
    ] {
        assert_eq!(filling.fits_tags(text, ["BLUE", "vBlue"].into_iter()), fits, "{text}");
    }
    let remove = Template { remove_empty_tags: true, ..query.template.clone().unwrap() };
    let query = Query { template: Some(remove), ..query };
    assert!(Filling::new(&query, "geo-blue").fits_tags("${match(2)}", ["BLUE"].into_iter()));
}

#[test]
fn a_template_that_cannot_be_filled_in_is_refused() {
    let problem = |text: &str| validate(&template(""), text).unwrap_err();
    assert_eq!(problem("${name.full"), "\"${name.full\": a ${ is not closed");
    assert_eq!(problem("${nmae}"), "\"${nmae}\": \"nmae\" is unknown");
    assert_eq!(problem("${match(32)}"), "\"${match(32)}\": \"match(32)\" is unknown");
    assert_eq!(problem("${match(99999999999999999999)}").split(": ").count(), 2);
    assert_eq!(validate(&template(""), "$${nmae}"), Ok(()));
}

#[test]
fn an_expression_that_is_wrong_or_too_large_is_refused() {
    assert!(Expression::new("(".into()).unwrap_err().contains("unclosed group"));
    assert!(Expression::new("(?:a{1000}){1000}".into()).is_err());
    assert_eq!(Expression::stored("(".into()).as_str(), "(");
    assert_eq!(Expression::new("a.*".into()).unwrap(), Expression::stored("a.*".into()));
}

#[test]
fn expressions_take_turns_with_the_same_memory() {
    let (small, large) = (template("(b)"), template("^(?:(a)|(geo)|[^x]{1,40})-(.*)$"));
    for _ in 0..3 {
        assert!(Filling::new(&small, "geo-b").is("${match(1)}", "b"));
        assert!(Filling::new(&large, "geo-b").is("${match(1)}${match(2)}${match(3)}", "geob"));
    }
}

proptest! {
    /// Whatever a text is, its pieces put together are what it is compared as, and no text makes it panic.
    #[test]
    fn pieces_are_the_text(text in "[$ab{}m!(1)]{0,12}", name in "geo-[a-cé]{0,4}") {
        let query = template("^geo-(a*)");
        let filling = Filling::new(&query, &name);
        let filled = filling.text(&text.as_str().into());
        prop_assert!(filling.is(&text, &filled));
        let tag = filled.strip_prefix('!').unwrap_or(&filled);
        if !filled.is_empty() {
            prop_assert_eq!(filling.fits_tags(&text, [tag].into_iter()), !filled.starts_with('!'));
        }
    }
}
