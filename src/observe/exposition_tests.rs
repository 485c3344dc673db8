use super::*;

#[test]
fn who_asks_for_openmetrics_gets_it_and_others_the_older_format() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    for (accept, expected) in [
        (Some(prometheus), Exposition::OpenMetrics),
        (Some("text/plain, Application/OpenMetrics-Text"), Exposition::OpenMetrics),
        (Some("text/plain;version=0.0.4"), Exposition::Text),
        (Some("*/*"), Exposition::Text),
        (None, Exposition::Text),
    ] {
        assert_eq!(Exposition::accepted(accept), expected, "{accept:?}");
    }
}

#[test]
fn the_older_format_names_counters_as_their_samples_are_named() {
    let open = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{c=\"d\"} 1\n# HELP e_seconds Time.\n\
                # TYPE e_seconds histogram\n# UNIT e_seconds seconds\ne_seconds_sum 0.5\n# HELP f_build This build.\n\
                # TYPE f_build info\nf_build_info{version=\"1\"} 1\n# EOF\n";
    let text = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{c=\"d\"} 1\n# HELP e_seconds Time.\n\
                # TYPE e_seconds histogram\ne_seconds_sum 0.5\n# HELP f_build_info This build.\n\
                # TYPE f_build_info gauge\nf_build_info{version=\"1\"} 1\n";
    assert_eq!(to_text(open), text);
}
