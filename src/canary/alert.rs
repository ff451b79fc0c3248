//! What is sent to AlertProviders: to whom, and the body in each one's form, as Flagger sends it.

use serde_json::{Value, json};

use super::event::Alert;
use super::metric::{Credentials, Encoded, Request, To};
use super::settings::{Settings, Strategy, WeightSteps, Weights};
use crate::api::flagger::{self, AlertProviderSpec, AlertProviderType, Severity};
use crate::object::secret::Masked;

/// The alerts of a Canary whose provider gets this one: those that ask for no more than its severity.
pub fn recipients<'a>(settings: &'a Settings, alert: &Alert) -> impl Iterator<Item = &'a flagger::Alert> {
    let severity = alert.severity;
    settings.alerts.iter().filter(move |recipient| recipient.severity <= severity)
}

/// The details of an alert, with their titles.
pub fn details(settings: &Settings, alert: &Alert) -> Vec<(&'static str, String)> {
    if !alert.has_details {
        return Vec::new();
    }
    let subject = &settings.subject;
    let routing = match &settings.strategy {
        Strategy::AbTest { .. } => "A/B Testing".to_owned(),
        Strategy::BlueGreen { .. } => "Blue/Green".to_owned(),
        Strategy::Weights(Weights { steps: WeightSteps::By(step), max, .. }) => {
            format!("Weight step: {step} max: {max}")
        }
        Strategy::Weights(Weights { steps: WeightSteps::List(list), max, .. }) => {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            format!("Weight steps: {} max: {max}", list.join(","))
        }
        Strategy::Steps(steps) => format!("{} steps", steps.len()),
    };
    vec![
        ("Target", format!("{}/{}.{}", subject.kind.as_str(), subject.name, subject.namespace)),
        ("Failed checks threshold", settings.threshold.to_string()),
        ("Progress deadline", format!("{}s", settings.deadline.as_secs())),
        ("Traffic routing", routing),
    ]
}

/// What is posted. `None` where an alert is no POST of JSON: SNS and e-mail.
pub fn body(
    provider: &AlertProviderSpec,
    alert: &Alert,
    settings: &Settings,
    details: &[(&'static str, String)],
) -> Option<Value> {
    let it = format!("{}.{}", settings.subject.name, settings.subject.namespace);
    let is_error = alert.severity == Severity::Error;
    let message = &alert.message;
    Some(match provider.what {
        AlertProviderType::Slack | AlertProviderType::Discord | AlertProviderType::Rocket => {
            let color = match (provider.what, is_error) {
                (AlertProviderType::Rocket, false) => "#0076D7",
                (AlertProviderType::Rocket, true) => "#FF0000",
                (_, false) => "good",
                (_, true) => "danger",
            };
            let fields: Vec<Value> =
                details.iter().map(|(title, value)| json!({"title": title, "value": value, "short": false})).collect();
            json!({
                "channel": provider.channel(),
                "username": provider.username(),
                "icon_url": "",
                "icon_emoji": ":rocket:",
                "attachments": [{"color": color, "author_name": it, "text": message, "mrkdwn_in": ["text"], "fields": fields}],
            })
        }
        AlertProviderType::MsTeams => {
            let facts: Vec<Value> = details.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
            json!({
                "@type": "MessageCard",
                "@context": "http://schema.org/extensions",
                "themeColor": if is_error { "FF0000" } else { "0076D7" },
                "summary": it,
                "sections": [{"activityTitle": message, "activitySubtitle": it, "facts": facts}],
            })
        }
        AlertProviderType::GChat => {
            let text = text(alert, details);
            json!({"cards": [{
                "header": {"title": "Flagger", "subtitle": it, "imageUrl": ""},
                "sections": [{"widgets": [{"textParagraph": {"text": text}}]}],
            }]})
        }
        AlertProviderType::Webhook => json!({
            "canary": it,
            "severity": word(alert.severity),
            "message": message,
            "details": details.iter().cloned().map(|(title, value)| (title.to_owned(), value)).collect::<std::collections::BTreeMap<_, _>>(),
        }),
        AlertProviderType::Sns | AlertProviderType::Email => return None,
    })
}

/// An alert in one line, where a form has a subject.
pub fn subject(alert: &Alert, settings: &Settings) -> String {
    format!("{}.{}: {}", settings.subject.name, settings.subject.namespace, word(alert.severity))
}

/// An alert in plain lines.
pub fn text(alert: &Alert, details: &[(&'static str, String)]) -> String {
    let lines = details.iter().map(|(title, value)| format!("\n{title}: {value}"));
    std::iter::once(alert.message.clone()).chain(lines).collect()
}

/// The request that publishes an alert to an SNS topic, to be signed; `address` is the topic's ARN, `endpoint` where SNS is
/// asked in place of the region's own address.
///
/// # Errors
/// When the address is no such ARN, in a sentence.
pub fn sns(
    address: &str,
    endpoint: Option<&str>,
    alert: &Alert,
    settings: &Settings,
    details: &[(&'static str, String)],
) -> Result<Request, String> {
    /// The longest subject that SNS takes.
    const SUBJECT: usize = 100;
    let parts: Vec<&str> = address.split(':').collect();
    let ["arn", partition, "sns", region, _account, _topic] = parts.as_slice() else {
        return Err(format!(
            "`{address}` is no topic: an ARN as `arn:aws:sns:eu-west-1:123456789012:on-call` is needed"
        ));
    };
    let domain = if *partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let own = format!("https://sns.{region}.{domain}");
    let subject: String = subject(alert, settings).chars().take(SUBJECT).collect();
    let message = text(alert, details);
    let fields = [
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("TopicArn", address),
        ("Subject", &subject),
        ("Message", &message),
    ];
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", Encoded(value))).collect();
    Ok(Request {
        method: http::Method::POST,
        to: To::Url(format!("{}/", endpoint.unwrap_or(&own).trim_end_matches('/'))),
        headers: vec![("Content-Type".into(), Masked::new("application/x-www-form-urlencoded; charset=utf-8"))],
        body: body.join("&"),
        credentials: Credentials::AwsSignature { region: (*region).to_owned(), service: "sns" },
        timeout: std::time::Duration::from_secs(5),
    })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Error => "error",
    }
}

/// Where it is posted to: Discord understands Slack's form under another path.
pub fn url(provider: &AlertProviderSpec, address: &str) -> String {
    match provider.what {
        AlertProviderType::Discord if !address.trim_end_matches('/').ends_with("/slack") => {
            format!("{}/slack", address.trim_end_matches('/'))
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulate;
    use super::*;
    use crate::api::flagger::Provider;

    fn settings(severities: &[&str]) -> Settings {
        let mut canary = simulate::example();
        let alerts = severities.iter().map(|severity| json!({"name": severity, "severity": severity}));
        let analysis = json!({"stepWeight": 10, "maxWeight": 50, "threshold": 5, "alerts": alerts.collect::<Vec<_>>()});
        canary.spec.analysis = Some(serde_json::from_value(analysis).unwrap());
        Settings::new(&canary, Provider::Istio).unwrap()
    }

    fn alert(severity: Severity) -> Alert {
        Alert { severity, message: "It happened".into(), has_details: true }
    }

    fn provider(what: &str) -> AlertProviderSpec {
        serde_json::from_value(json!({"type": what})).unwrap()
    }

    #[test]
    fn a_recipient_gets_what_is_as_bad_as_it_asked_for() {
        let settings = settings(&["info", "warn", "error", ""]);
        let cases = [
            // severity, names of who gets it
            (Severity::Info, vec!["info", ""]),
            (Severity::Warn, vec!["info", "warn", ""]),
            (Severity::Error, vec!["info", "warn", "error", ""]),
        ];
        for (severity, expected) in cases {
            let found: Vec<&str> = recipients(&settings, &alert(severity)).map(|recipient| &*recipient.name).collect();
            assert_eq!(found, expected, "{severity:?}");
        }
    }

    #[test]
    fn each_provider_gets_its_own_form() {
        let settings = settings(&[]);
        let alert = alert(Severity::Error);
        let details = details(&settings, &alert);
        assert_eq!(details[0], ("Target", "Deployment/web.shop".to_owned()));
        assert_eq!(details[3], ("Traffic routing", "Weight step: 10 max: 50".to_owned()));
        let cases = [
            // type, pointer, value there
            ("slack", "/attachments/0/color", json!("danger")),
            ("slack", "/attachments/0/author_name", json!("web.shop")),
            ("slack", "/attachments/0/fields/1/title", json!("Failed checks threshold")),
            ("slack", "/channel", json!("general")),
            ("rocket", "/attachments/0/color", json!("#FF0000")),
            ("discord", "/username", json!("flagger")),
            ("msteams", "/themeColor", json!("FF0000")),
            ("msteams", "/sections/0/facts/2/value", json!("60s")),
            ("gchat", "/cards/0/header/title", json!("Flagger")),
            ("webhook", "/severity", json!("error")),
        ];
        for (what, pointer, expected) in cases {
            let body = body(&provider(what), &alert, &settings, &details).unwrap();
            assert_eq!(body.pointer(pointer), Some(&expected), "{what} {body}");
        }
        assert_eq!(body(&provider("sns"), &alert, &settings, &details), None);
    }

    #[test]
    fn a_topic_is_published_to_in_its_own_region() {
        let settings = settings(&[]);
        let alert = alert(Severity::Error);
        let arn = "arn:aws:sns:eu-west-1:123456789012:on-call";
        let request = sns(arn, None, &alert, &settings, &details(&settings, &alert)[..1]).unwrap();
        assert_eq!(request.to, To::Url("https://sns.eu-west-1.amazonaws.com/".into()));
        assert_eq!(
            request.body,
            "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Aon-call\
             &Subject=web.shop%3A%20error&Message=It%20happened%0ATarget%3A%20Deployment%2Fweb.shop"
        );
        assert_eq!(request.credentials, Credentials::AwsSignature { region: "eu-west-1".into(), service: "sns" });
        let elsewhere = sns(arn, Some("http://localhost:4566/"), &alert, &settings, &[]).unwrap();
        assert_eq!(elsewhere.to, To::Url("http://localhost:4566/".into()));
        let refused = sns("https://sns.example", None, &alert, &settings, &[]).unwrap_err();
        assert!(refused.starts_with("`https://sns.example` is no topic"), "{refused}");
    }

    #[test]
    fn discord_is_posted_to_where_it_understands_slack() {
        assert_eq!(url(&provider("discord"), "https://discord.example/1/"), "https://discord.example/1/slack");
        assert_eq!(url(&provider("discord"), "https://discord.example/1/slack"), "https://discord.example/1/slack");
        assert_eq!(url(&provider("slack"), "https://slack.example/1"), "https://slack.example/1");
    }
}
