use super::*;

fn health() -> Vec<HealthEntry> {
    serde_json::from_str(
        r#"[
        {"Node": {"ID": "x", "Node": "n1", "Address": "192.0.2.9", "Meta": {}},
         "Service": {"ID": "web-1", "Service": "web", "Address": "192.0.2.1", "Port": 80, "Tags": ["blue", "v2"]},
         "Checks": [{"CheckID": "serfHealth", "Status": "passing", "Output": "", "Node": "n1"}]},
        {"Node": {"Node": "n1", "Address": "192.0.2.9"},
         "Service": {"ID": "web-2", "Address": "", "Port": 8080, "Tags": []},
         "Checks": [{"CheckID": "serfHealth", "Status": "passing"},
                    {"CheckID": "service:web-2", "Status": "critical", "Output": "connect:\u001b[2J refused\nmore"}]},
        {"Node": {"Node": "n2", "Address": "192.0.2.10"},
         "Service": {"ID": "web-3", "Address": "", "Port": 80, "Tags": []},
         "Checks": [{"CheckID": "_service_maintenance:web-3", "Status": "critical", "Output": "upgrade"}]}]"#,
    )
    .unwrap()
}

#[test]
fn instances_are_a_table_with_the_reason_of_what_does_not_pass() {
    let expected = "\
ID     NODE  ADDRESS     PORT  STATUS       TAGS      WHY
web-1  n1    192.0.2.1   80    passing      blue, v2  -
web-2  n1    192.0.2.9   8080  critical     -         service:web-2: connect: [2J refused
web-3  n2    192.0.2.10  80    maintenance  -         _service_maintenance:web-3: upgrade
";
    assert_eq!(instances_table(&health()), expected);
}

#[test]
fn services_are_a_table_with_their_tags() {
    let services = serde_json::from_str(r#"{"web": ["blue", "green"], "db": []}"#).unwrap();
    assert_eq!(services_table(&services), "SERVICE  TAGS\ndb       -\nweb      blue, green\n");
}

#[test]
fn an_explanation_shows_the_response_and_why_each_instance_is_in_or_out() {
    let explanation: Explanation = serde_json::from_str(
        r#"{"Name": "web.service.internal", "Type": "A", "Rcode": "NOERROR", "Flags": ["qr", "aa"],
            "Answer": ["web.service.internal. 5 IN A 192.0.2.1"], "Authority": [], "Additional": [],
            "ExtendedError": {"Code": 3, "Text": "docker is away"}, "Service": "web", "Form": "service",
            "Instances": [
              {"Node": "n1", "ID": "web-1", "Address": "192.0.2.1", "Port": 80, "Status": "passing", "Answered": true,
               "Reason": "passing; answered as 192.0.2.1:80", "Origin": "api", "Shadowed": ["file"]},
              {"Node": "n1", "ID": "web-2", "Address": "192.0.2.2", "Port": 80, "Status": "critical", "Answered": false,
               "Reason": "critical", "Origin": "docker", "Shadowed": []}]}"#,
    )
    .unwrap();
    let expected = "\
NOERROR qr aa
ANSWER
web.service.internal. 5 IN A 192.0.2.1
EXTENDED ERROR 3 (Stale Answer): docker is away

service web, asked by service
ID     NODE  ADDRESS    PORT  STATUS    ANSWERED  ORIGIN              WHY
web-1  n1    192.0.2.1  80    passing   yes       api (shadows file)  passing; answered as 192.0.2.1:80
web-2  n1    192.0.2.2  80    critical  no        docker              critical
";
    assert_eq!(explanation_text(&explanation), expected);
}

#[test]
fn a_further_name_is_told_with_the_services_that_it_leads_to() {
    let explanation: Explanation = serde_json::from_str(
        r#"{"Rcode": "NOERROR", "Flags": ["qr", "aa"], "Answer": ["shop-web-1. 5 IN A 192.0.2.1"], "Authority": [],
            "Additional": [], "ExtendedError": null, "Service": null, "FurtherName": "shop-web-1", "Form": "service",
            "Instances": [
              {"Node": "n1", "ID": "n1:shop-web-1:80", "Service": "nginx-80", "Address": "192.0.2.1", "Port": 8080,
               "Status": "passing", "Answered": true, "Reason": "passing; answered as 192.0.2.1", "Origin": "docker"},
              {"Node": "n1", "ID": "n1:shop-web-1:443", "Service": "nginx-443", "Address": "192.0.2.1", "Port": 8443,
               "Status": "passing", "Answered": true, "Reason": "passing; answered as 192.0.2.1", "Origin": "docker"}]}"#,
    )
    .unwrap();
    let expected = "\
NOERROR qr aa
ANSWER
shop-web-1. 5 IN A 192.0.2.1

shop-web-1, a further name of instances of nginx-443, nginx-80, asked by service
ID                 NODE  ADDRESS    PORT  STATUS   ANSWERED  ORIGIN  WHY
n1:shop-web-1:80   n1    192.0.2.1  8080  passing  yes       docker  passing; answered as 192.0.2.1
n1:shop-web-1:443  n1    192.0.2.1  8443  passing  yes       docker  passing; answered as 192.0.2.1
";
    assert_eq!(explanation_text(&explanation), expected);
}

#[test]
fn a_name_that_is_no_service_shows_the_response_alone() {
    let explanation: Explanation = serde_json::from_str(
        r#"{"Rcode": "NXDOMAIN", "Flags": ["qr"], "Answer": [], "Authority": ["internal. 5 IN SOA ns.internal. x. 1 2 3 4 5"],
            "Additional": [], "ExtendedError": null, "Service": null, "Form": null, "Instances": []}"#,
    )
    .unwrap();
    let expected = "NXDOMAIN qr\nAUTHORITY\ninternal. 5 IN SOA ns.internal. x. 1 2 3 4 5\n";
    assert_eq!(explanation_text(&explanation), expected);
}

#[test]
fn a_long_cell_is_cut() {
    assert_eq!(shown(&"x".repeat(200)), format!("{}...", "x".repeat(100)));
    assert_eq!(shown("a\u{7}b\nc"), "a b");
}

#[test]
fn an_extended_error_is_told_by_its_name() {
    let line = |code, text: &str| extended_error_line(&ExtendedError { code, text: text.to_owned() });
    assert_eq!(line(20, ""), "EXTENDED ERROR 20 (Not Authoritative)\n");
    assert_eq!(line(4711, "new"), "EXTENDED ERROR 4711: new\n");
}
