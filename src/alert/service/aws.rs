//! Topics of SNS (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>) and queues of SQS
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
//!
//! The recipient of `awssns`, which Argo CD does not have, is a topic's ARN.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::{Content, Delivery};
use crate::canary::metric::{Credentials, Encoded, Request, To};
use crate::object::secret::Masked;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::alert) struct Aws {
    region: String,
    account: String,
    queue: String,
    key: String,
    secret: String,
    endpoint_url: String,
}

/// A request to be signed.
#[derive(Debug)]
pub struct Signed {
    /// The request.
    pub request: Request,
    /// Keys under their usual names; none: the daemon's own.
    pub keys: BTreeMap<String, Masked>,
}

impl Aws {
    pub(super) fn sns(&self, topic: &str, content: &Content<'_>) -> Result<Delivery, String> {
        let parts: Vec<&str> = topic.split(':').collect();
        let ["arn", _, "sns", region, _, _] = parts.as_slice() else {
            return Err(format!("`{topic}` is no topic: an ARN is needed"));
        };
        let subject: String = content.text("subject").unwrap_or_default().chars().take(100).collect();
        let mut fields = vec![("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", topic)];
        if !subject.is_empty() {
            fields.push(("Subject", &subject));
        }
        fields.push(("Message", content.message()));
        self.signed("sns", region, "/", &fields)
    }

    pub(super) fn sqs(&self, recipient: &str, content: &Content<'_>) -> Result<Delivery, String> {
        let queue = if recipient.is_empty() { &self.queue } else { recipient };
        if self.region.is_empty() || self.account.is_empty() || queue.is_empty() {
            return Err("`region`, `account` and a queue are needed".to_owned());
        }
        let mut fields = vec![("Action", "SendMessage"), ("Version", "2012-11-05"), ("MessageBody", content.message())];
        if let Some(group) = content.text("messageGroupId") {
            fields.push(("MessageGroupId", group));
        }
        self.signed("sqs", &self.region, &format!("/{}/{queue}", self.account), &fields)
    }

    fn signed(
        &self,
        service: &'static str,
        region: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Delivery, String> {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = format!("https://{service}.{region}.{domain}");
        let endpoint = if self.endpoint_url.is_empty() { &own } else { &self.endpoint_url };
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", Encoded(value))).collect();
        let keys = [("AWS_ACCESS_KEY_ID", &self.key), ("AWS_SECRET_ACCESS_KEY", &self.secret)];
        let keys = keys.into_iter().filter(|(_, value)| !value.is_empty());
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        Ok(Delivery::Aws(Signed {
            request: Request {
                method: Method::POST,
                to: To::Url(format!("{}{path}", endpoint.trim_end_matches('/'))),
                headers: vec![("Content-Type".into(), Masked::new(form))],
                body: body.join("&"),
                credentials: Credentials::AwsSignature { region: region.to_owned(), service },
                timeout: Duration::from_secs(5),
            },
            keys: keys.map(|(name, value)| (name.to_owned(), Masked::new(value))).collect(),
        }))
    }
}
