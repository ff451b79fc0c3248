use serde_json::json;

use super::*;
use crate::canary::metric::To;

/// What a service makes of a message.
fn made(kind: &str, options: &str, recipient: &str, message: Json) -> Result<Delivery, String> {
    let secrets = BTreeMap::from([("token".to_owned(), Masked::new("s3cret"))]);
    let service = Service::read(kind, options, &secrets)?;
    let app = json!({
        "spec": {"source": {"repoURL": "https://git.example.com/shop/web"}},
        "status": {"operationState": {"syncResult": {"revision": "abc"}}},
    });
    let names = Value::map([("app", Value::from(&app))]);
    let to = Destination { service: "hook".into(), recipient: recipient.into() };
    let Json::Object(message) = message else { unreachable!("messages are objects") };
    service.delivery(&to, &message, &names, Timestamp::UNIX_EPOCH)
}

/// A request in one line: method, address, headers but the type, body.
fn line(delivery: &Delivery) -> String {
    let Delivery::Requests(calls) = delivery else { return format!("{delivery:?}") };
    let text = |masked: &Masked| masked.expose_text().unwrap().to_owned();
    let one = |call: &Call| {
        let headers = call.headers.iter().filter(|(name, _)| name != "Content-Type");
        let headers: String = headers.map(|(name, value)| format!(" {name}: {}", text(value))).collect();
        format!("{} {}{headers} {}", call.method, text(&call.url), call.body)
    };
    calls.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_service_gets_its_own_form() {
    let cases = [
        (
            "slack",
            "{token: $token, username: bot, icon: ':boat:', disableUnfurl: true}",
            "ops",
            json!({"message": "hi\n", "slack": {"attachments": "[{\"title\": \"web\"}]"}}),
            "POST https://slack.com/api/chat.postMessage Authorization: Bearer s3cret {\"text\":\"hi\",\"username\":\"bot\",\
             \"icon_emoji\":\":boat:\",\"attachments\":[{\"title\":\"web\"}],\"unfurl_links\":false,\"unfurl_media\":false,\
             \"channel\":\"ops\"}",
        ),
        (
            "slack",
            "url: https://hooks.slack.example/$token",
            "",
            json!({"message": "hi"}),
            "POST https://hooks.slack.example/s3cret {\"text\":\"hi\"}",
        ),
        (
            "teams",
            "recipientUrls: {ops: 'https://teams.example/1'}",
            "ops",
            json!({"message": "hi", "teams": {"title": "T", "themeColor": "#fff", "facts": "[{\"name\": \"a\", \"value\": \"b\"}]"}}),
            "POST https://teams.example/1 {\"@type\":\"MessageCard\",\"context\":\"https://schema.org/extensions\",\"title\":\"T\",\
             \"summary\":\"\",\"text\":\"hi\",\"themeColor\":\"#fff\",\"sections\":[{\"facts\":[{\"name\":\"a\",\"value\":\"b\"}]}]}",
        ),
        (
            "teams-workflows",
            "recipientUrls: {ops: 'https://flow.example/1'}",
            "ops",
            json!({"message": "hi", "teams-workflows": {"facts": "[{\"name\": \"a\", \"value\": \"b\"}]"}}),
            "POST https://flow.example/1 {\"type\":\"message\",\"attachments\":[{\"contentType\":\
             \"application/vnd.microsoft.card.adaptive\",\"content\":{\"type\":\"AdaptiveCard\",\"version\":\"1.4\",\"body\":[\
             {\"type\":\"TextBlock\",\"text\":\"hi\",\"wrap\":true},{\"type\":\"FactSet\",\"facts\":[{\"title\":\"a\",\"value\":\"b\"}]}]}}]}",
        ),
        (
            "webhook",
            "url: https://hooks.example/\nheaders: [{name: X-Token, value: $token}]\nbasicAuth: {username: a, password: b}",
            "",
            json!({"message": "hi", "webhook": {"hook": {"method": "post", "path": "/x", "body": "{}"}, "other": {}}}),
            "POST https://hooks.example/x X-Token: s3cret Authorization: Basic YTpi {}",
        ),
        ("webhook", "url: https://hooks.example/", "", json!({"message": "hi"}), "GET https://hooks.example/ hi"),
        (
            "alertmanager",
            "{targets: ['a:9093', 'b:9093'], bearerToken: $token}",
            "",
            json!({"message": "hi", "alertmanager": {"labels": {"alertname": "X"}}}),
            "POST http://a:9093/api/v2/alerts Authorization: Bearer s3cret [{\"labels\":{\"alertname\":\"X\"},\"startsAt\":\
             \"1970-01-01T00:00:00Z\",\"generatorURL\":\"https://git.example.com/shop/web\"}]\n\
             POST http://b:9093/api/v2/alerts Authorization: Bearer s3cret [{\"labels\":{\"alertname\":\"X\"},\"startsAt\":\
             \"1970-01-01T00:00:00Z\",\"generatorURL\":\"https://git.example.com/shop/web\"}]",
        ),
        (
            "pagerdutyv2",
            "serviceKeys: {ops: $token}",
            "ops",
            json!({"message": "hi", "pagerdutyv2": {"summary": "S", "severity": "info", "dedupKey": "d"}}),
            "POST https://events.pagerduty.com/v2/enqueue {\"routing_key\":\"s3cret\",\"event_action\":\"trigger\",\"client\":\
             \"Leeboard\",\"payload\":{\"summary\":\"S\",\"severity\":\"info\",\"source\":\"leeboard\"},\"dedup_key\":\"d\"}",
        ),
    ];
    for (kind, options, recipient, message, expected) in cases {
        let delivery = made(kind, options, recipient, message).unwrap();
        assert_eq!(line(&delivery), expected, "{kind}");
    }
}

#[test]
fn mails_topics_queues_and_statuses_are_no_plain_requests() {
    let options = "{host: mail.example.com, port: 465, username: me, password: $token, from: a@example.com}";
    let message = json!({"message": "hi\n", "email": {"subject": "web\n synced"}});
    let Delivery::Mail(mail) = made("email", options, "b@example.com,c@example.com", message).unwrap() else {
        panic!()
    };
    assert_eq!((mail.subject.as_str(), mail.body.as_str(), mail.is_html), ("web  synced", "hi", false));
    assert_eq!(mail.server.login().map(|(_, password)| password), Some(Masked::new("s3cret")));
    assert!(!format!("{mail:?}").contains("s3cret"));

    let topic = "arn:aws:sns:eu-west-1:123456789012:on-call";
    let Delivery::Aws(signed) = made("awssns", "{}", topic, json!({"message": "hi"})).unwrap() else { panic!() };
    assert_eq!(signed.request.to, To::Url("https://sns.eu-west-1.amazonaws.com/".into()));
    assert!(signed.request.body.ends_with("&Message=hi"), "{}", signed.request.body);
    let options = "{region: eu-west-1, account: '123', queue: q, key: k, secret: $token}";
    let Delivery::Aws(signed) = made("awssqs", options, "", json!({"message": "hi"})).unwrap() else { panic!() };
    assert_eq!(signed.request.to, To::Url("https://sqs.eu-west-1.amazonaws.com/123/q".into()));
    assert_eq!(signed.keys["AWS_SECRET_ACCESS_KEY"], Masked::new("s3cret"));

    let message = json!({"message": "done", "github": {"status": {"state": "success", "label": "deploy/web"}}});
    let Delivery::Status(status) = made("github", "{}", "", message).unwrap() else { panic!() };
    assert_eq!((&*status.repository, &*status.commit), ("https://git.example.com/shop/web", "abc"));
    assert_eq!(
        (status.state, &*status.label, &*status.description),
        (crate::forge::State::Success, "deploy/web", "done")
    );
}

#[test]
fn what_a_service_does_not_take_says_why() {
    let hi = || json!({"message": "hi"});
    let cases = [
        ("slack", "{}", "ops", hi(), "it has no `token`"),
        ("slack", "token: a", "", hi(), "no channel is named"),
        ("slack", "token: a", "ops", json!({"slack": {"blocks": "["}}), "blocks is no JSON"),
        ("teams", "{}", "ops", hi(), "`recipientUrls` has no `ops`"),
        ("email", "{host: a}", "b@c", hi(), "missing field `from`"),
        ("webhook", "headers: []", "", hi(), "missing field `url`"),
        ("alertmanager", "{}", "", hi(), "the template has no `alertmanager.labels`"),
        ("pagerdutyv2", "serviceKeys: {a: b}", "a", hi(), "the template has no `pagerdutyv2.summary`"),
        ("awssns", "{}", "ops", hi(), "`ops` is no topic"),
        ("github", "{}", "", hi(), "the template has no `github.status.state`"),
    ];
    for (kind, options, recipient, message, expected) in cases {
        let error = made(kind, options, recipient, message).unwrap_err();
        assert!(error.contains(expected), "{kind}: {error}");
    }
}

#[test]
fn an_answer_says_whether_a_message_was_taken() {
    let cases = [
        (Accepted::ByStatus, 202, "", None),
        (Accepted::ByStatus, 500, "oops", Some("the answer was 500 oops")),
        (Accepted::ByOk, 200, r#"{"ok": true}"#, None),
        (
            Accepted::ByOk,
            200,
            r#"{"ok": false, "error": "channel_not_found"}"#,
            Some("the answer was \"channel_not_found\""),
        ),
        (Accepted::ByOne, 200, "1", None),
        (Accepted::ByOne, 200, "throttled", Some("the answer was throttled")),
    ];
    for (accepted, status, body, expected) in cases {
        assert_eq!(accepted.judge(status, body.as_bytes()).err().as_deref(), expected, "{accepted:?} {status} {body}");
    }
}
