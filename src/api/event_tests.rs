use serde_json::{Value, json};

use crate::api::harness::{Answer, start};

#[tokio::test]
async fn events_are_fired_and_listed_by_name() {
    let server = start().await;
    let empty = server.get("/v1/event/list").await;
    assert_eq!((empty.json(), empty.index()), (json!([]), 1));
    let fired = server.put("/v1/event/fire/deploy?node=n.*&service=", "1.2").await.json();
    let shown = json!([fired["Name"], fired["Payload"], fired["NodeFilter"], fired["ServiceFilter"], fired["LTime"]]);
    assert_eq!(shown, json!(["deploy", "MS4y", "n.*", "", 0]));
    assert!(server.put("/v1/event/fire/other", "").await.json()["Payload"].is_null());
    let names = |answer: &Answer| -> Vec<Value> {
        answer.json().as_array().unwrap().iter().map(|event| event["Name"].clone()).collect()
    };
    for path in ["/v1/event/list", "/v1/events"] {
        assert_eq!(names(&server.get(path).await), ["deploy", "other"]);
    }
    let by_name = server.get("/v1/event/list?name=deploy").await;
    assert_eq!((names(&by_name), &by_name.json()[0]["LTime"]), (vec![json!("deploy")], &json!(1)));
    assert_eq!(by_name.index(), super::index_of(fired["ID"].as_str().unwrap()));
}

#[tokio::test]
async fn an_event_is_kept_if_its_filters_let_it_through_to_our_node() {
    let server = start().await;
    for (name, tags) in [("web", json!(["blue", "v1"])), ("db", json!(["green"]))] {
        server.register(&json!({ "Name": name, "Tags": tags }).to_string()).await;
    }
    let elsewhere = json!({
        "Node": "n9", "Address": "192.0.2.9", "Service": { "Service": "api", "Tags": ["blue"] },
    });
    assert_eq!(server.put("/v1/catalog/register", &elsewhere.to_string()).await.status, 200);
    for (number, (filters, kept)) in [
        ("node=n", true),
        ("node=%5En1%24", true),
        ("node=n9", false),
        ("service=we", true),
        ("service=%5Ed", true),
        ("service=%5Eb%24", false),
        ("service=api", false),
        ("service=web&tag=blue", true),
        ("service=web&tag=%5Ev%5Cd%24", true),
        ("service=web&tag=green", false),
        ("service=b&tag=green", true),
        ("node=n9&service=web", false),
    ]
    .into_iter()
    .enumerate()
    {
        let fired = server.put(&format!("/v1/event/fire/e{number}?{filters}"), "").await;
        assert_eq!((fired.status, &fired.json()["Name"]), (200, &json!(format!("e{number}"))), "{filters}");
        let listed = server.get(&format!("/v1/event/list?name=e{number}")).await.json();
        assert_eq!(listed.as_array().unwrap().len(), usize::from(kept), "{filters}");
    }
}

#[tokio::test]
async fn a_filter_that_is_no_expression_is_refused() {
    let server = start().await;
    let nested = format!("node={}", "(?:a%7B1000%7D)%7B1000%7D");
    for filters in ["node=%5B", "service=(", "service=web&tag=*", "tag=blue", &nested] {
        let refused = server.put(&format!("/v1/event/fire/deploy?{filters}"), "").await;
        assert_eq!(refused.status, 400, "{filters}: {}", refused.body);
        let parameter = if filters.contains("tag=") { "tag: " } else { &filters[..filters.find('=').unwrap()] };
        assert!(refused.body.starts_with(parameter), "{filters}: {}", refused.body);
    }
    assert_eq!(server.get("/v1/event/list").await.json(), json!([]));
}

#[tokio::test]
async fn the_last_events_are_kept() {
    let server = start().await;
    for number in 1..=300 {
        assert_eq!(server.put(&format!("/v1/event/fire/e{number}"), "").await.status, 200);
    }
    let all = server.get("/v1/event/list").await.json();
    let all = all.as_array().unwrap();
    assert_eq!((all.len(), &all[0]["Name"], &all[255]["LTime"]), (256, &json!("e45"), &json!(300)));
}

#[test]
fn an_index_is_that_of_consul() {
    assert_eq!(super::index_of("b54fe110-7af5-cafc-d1fb-afc8ba432b1c"), 0xb54f_e110_7af5_cafc ^ 0xd1fb_afc8_ba43_2b1c);
}
