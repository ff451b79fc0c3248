//! Requests and answers of each provider: shapes as in the vendors' own documentation, numbers of our own.

use super::*;

/// The provider that a MetricTemplate's `type` names.
fn named(name: &str) -> &'static dyn Provider {
    provider(serde_json::from_value(name.into()).unwrap())
}

const NOW: &str = "2026-01-02T03:04:05Z";

fn secret() -> BTreeMap<String, Masked> {
    let pairs = [
        ("token", "t0ken"),
        ("org", "my org"),
        ("username", "me"),
        ("password", "pass"),
        ("datadog_api_key", "api\n"),
        ("datadog_application_key", "app"),
        ("newrelic_account_id", "42"),
        ("newrelic_query_key", "nr"),
        ("project", "my-project"),
        ("dynatrace_token", "dt"),
        ("sf_token_key", "sf"),
    ];
    pairs.map(|(key, value)| (key.to_owned(), Masked::new(value))).into()
}

fn told(request: &Request) -> String {
    let to = match &request.to {
        To::Url(url) => url.clone(),
        To::ApiServer(path) => format!("api:{path}"),
        To::Made(object) => format!("made:{}", object.body),
    };
    let mut told = format!("{} {to}", request.method);
    for (name, value) in &request.headers {
        told.push_str(&format!(" {name}={}", value.expose_text().unwrap()));
    }
    if !request.body.is_empty() {
        told.push_str(&format!(" {}", request.body));
    }
    told
}

#[test]
fn each_provider_is_asked_in_its_own_way() {
    let cases = [
        // type, address, query, request
        (
            "prometheus",
            "http://prometheus:9090/",
            "sum(\n  rate(x{a=\"b\"}[1m])\n)",
            "GET http://prometheus:9090/api/v1/query?query=sum%28%20rate%28x%7Ba%3D%22b%22%7D%5B1m%5D%29%20%29 \
             X-Scope-OrgID=shop Authorization=Bearer t0ken",
        ),
        (
            "datadog",
            "",
            "avg:errors{service:web}",
            "GET https://api.datadoghq.com/api/v1/query?query=avg%3Aerrors%7Bservice%3Aweb%7D&from=1767322445&to=1767323045 \
             DD-API-KEY=api DD-APPLICATION-KEY=app",
        ),
        (
            "newrelic",
            "",
            "SELECT count(*) FROM T",
            "GET https://insights-api.newrelic.com/v1/accounts/42/query?nrql=SELECT%20count%28%2A%29%20FROM%20T%20SINCE%2060%20seconds%20ago \
             X-Query-Key=nr",
        ),
        (
            "graphite",
            "http://graphite",
            "target=sumSeries(\n a.b\n)&from=-1min",
            "GET http://graphite/render?target=sumSeries(a.b)&from=-1min&format=json Authorization=Basic bWU6cGFzcw==",
        ),
        (
            "dynatrace",
            "https://abc.live.dynatrace.com",
            "builtin:service.errors",
            "GET https://abc.live.dynatrace.com/api/v2/metrics/query?metricSelector=builtin%3Aservice.errors&resolution=Inf\
             &from=1767322445000&to=1767323045000 Authorization=Api-Token dt",
        ),
        (
            "stackdriver",
            "",
            "fetch k8s_container",
            "POST https://monitoring.googleapis.com/v3/projects/my-project/timeSeries:query Content-Type=application/json \
             {\"query\":\"fetch k8s_container\"}",
        ),
        (
            "cloudwatch",
            "",
            "[{\"Id\":\"e1\",\"Expression\":\"m1/m2\"}]",
            "POST https://monitoring.eu-west-1.amazonaws.com/ Content-Type=application/x-amz-json-1.0 \
             X-Amz-Target=GraniteServiceVersion20100801.GetMetricData \
             {\"StartTime\":1767322445,\"EndTime\":1767323045,\"MaxDatapoints\":20,\
             \"MetricDataQueries\":[{\"Id\":\"e1\",\"Expression\":\"m1/m2\"}]}",
        ),
        (
            "splunk",
            "wss://stream.us1.signalfx.com/v2/signalflow",
            "data('errors').publish()",
            "POST https://stream.us1.signalfx.com/v2/signalflow/execute?start=1767322445000&stop=1767323045000&immediate=true \
             Content-Type=text/plain X-SF-Token=sf Accept=text/event-stream data('errors').publish()",
        ),
        (
            "keptn",
            "",
            "keptnmetric/shop/errors/1m/a=b",
            "GET api:/apis/metrics.keptn.sh/v1/namespaces/shop/keptnmetrics/errors",
        ),
        (
            "keptn",
            "",
            "analysis/shop/slo/5m/stage=dev;workload=web",
            r#"GET made:{"apiVersion":"metrics.keptn.sh/v1","kind":"Analysis","metadata":{"name":"slo-cc8244fe","namespace":"shop"},"spec":{"analysisDefinition":{"name":"slo"},"timeframe":{"recent":"5m"},"args":{"stage":"dev","workload":"web"}}}"#,
        ),
        (
            "externalmetrics",
            "",
            "shop/queue?labelSelector=a=b",
            "GET api:/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue?labelSelector=a=b",
        ),
        (
            "externalmetrics",
            "https://adapter",
            "shop/queue",
            "GET https://adapter/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue Authorization=Bearer t0ken",
        ),
    ];
    let headers = [("X-Scope-OrgID".to_owned(), vec!["shop".to_owned()])].into();
    for (name, address, query, expected) in cases {
        let now = NOW.parse().unwrap();
        let (region, interval) = ("eu-west-1", Duration::from_secs(60));
        let ask = Ask { address, region, headers: &headers, secret: &secret(), query, interval, now };
        let request = named(name).request(&ask).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(told(&request), expected, "{name}");
        assert!(!format!("{request:?}").contains("t0ken"), "{name} shows a token");
    }
}

#[test]
fn what_is_missing_is_named() {
    let cases = [
        // type, address, region, query, error
        ("prometheus", "", "", "up", "`provider.address` is missing"),
        ("prometheus", "prometheus:9090", "", "up", "`provider.address` is no URL: prometheus:9090"),
        ("datadog", "", "", "x", "the secret that `provider.secretRef` names has no key `datadog_api_key`"),
        ("influxdb", "http://influx", "", "x", "the secret that `provider.secretRef` names has no key `org`"),
        ("cloudwatch", "", "", "[]", "`provider.region` is missing"),
        ("cloudwatch", "", "eu-west-1", "x", "the query is not a JSON list of MetricDataQuery: x"),
        (
            "keptn",
            "",
            "",
            "analysis/a",
            "the query is not keptnmetric/<namespace>/<name> or analysis/<namespace>/<definition>/<duration>/<key=value;…>: \
             analysis/a",
        ),
        (
            "keptn",
            "",
            "",
            "analysis/../x",
            "the query is not keptnmetric/<namespace>/<name> or analysis/<namespace>/<definition>/<duration>/<key=value;…>: \
             analysis/../x",
        ),
        ("externalmetrics", "", "", "x", "the query is not <namespace>/<metric>?labelSelector=…: x"),
        ("externalmetrics", "", "", "shop/../x", "the query is not <namespace>/<metric>?labelSelector=…: shop/../x"),
        ("externalmetrics", "", "", "../x", "the query is not <namespace>/<metric>?labelSelector=…: ../x"),
    ];
    let (headers, secret) = (BTreeMap::new(), BTreeMap::new());
    for (name, address, region, query, expected) in cases {
        let (now, interval) = (NOW.parse().unwrap(), Duration::from_secs(60));
        let ask = Ask { address, region, headers: &headers, secret: &secret, query, interval, now };
        assert_eq!(named(name).request(&ask).unwrap_err().to_string(), expected, "{name}");
    }
}

#[test]
fn a_flux_query_asks_for_the_types_of_its_columns() {
    let (headers, secret) = (BTreeMap::new(), secret());
    let (now, interval) = (NOW.parse().unwrap(), Duration::from_secs(60));
    let query = "from(bucket: \"b\")";
    let ask =
        Ask { address: "http://influx:8086", region: "", headers: &headers, secret: &secret, query, interval, now };
    let request = named("influxdb").request(&ask).unwrap();
    assert_eq!(request.to, To::Url("http://influx:8086/api/v2/query?org=my%20org".into()));
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&body["query"], &body["type"]), (&query.into(), &"flux".into()));
    assert_eq!(body["dialect"]["annotations"][0], "datatype");
}

#[test]
fn answers_are_read() {
    let cases = [
        // type, status, answer, what is read
        (
            "prometheus",
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1767323045.1,"99.5"]}]}}"#,
            "99.5",
        ),
        ("prometheus", 200, r#"{"status":"success","data":{"resultType":"scalar","result":[1767323045.1,"1"]}}"#, "1"),
        ("prometheus", 200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#, "no data"),
        (
            "prometheus",
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1767323045.1,"NaN"]}]}}"#,
            "no data",
        ),
        (
            "prometheus",
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1767323045.1,"+Inf"]}]}}"#,
            "inf",
        ),
        (
            "prometheus",
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{"a":"2"},"value":[1,"2"]}]}}"#,
            r#"the query returns 2 series where one is expected: {"a":"1"} and {"a":"2"}"#,
        ),
        (
            "prometheus",
            200,
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            "query returned multiple values: a range, no instant",
        ),
        (
            "prometheus",
            400,
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unexpected end of input"}"#,
            "error response: 400: bad_data: invalid parameter \"query\": 1:5: parse error: unexpected end of input",
        ),
        ("prometheus", 503, "upstream  \n unavailable", "error response: 503: upstream unavailable"),
        ("prometheus", 200, "<html>", "the answer is not an answer of Prometheus' query API: <html>"),
        ("prometheus", 200, "", "the answer is not an answer of Prometheus' query API: (empty)"),
        (
            "datadog",
            200,
            r#"{"status":"ok","res_type":"time_series","series":[{"metric":"m","pointlist":[[1767322445000.0,3.5],[1767323045000.0,4.0]]}]}"#,
            "3.5",
        ),
        ("datadog", 200, r#"{"status":"ok","series":[]}"#, "no data"),
        ("datadog", 200, r#"{"status":"ok","series":[{"pointlist":[[1,null]]}]}"#, "no data"),
        (
            "datadog",
            200,
            r#"{"status":"error","error":"Rule 'scope_expr' didn't match","series":[]}"#,
            "Rule 'scope_expr' didn't match",
        ),
        ("datadog", 403, r#"{"errors":["Forbidden"]}"#, r#"error response: 403: {"errors":["Forbidden"]}"#),
        ("newrelic", 200, r#"{"results":[{"result":1.25}],"metadata":{"guid":"x"}}"#, "1.25"),
        ("newrelic", 200, r#"{"results":[{"result":null}],"metadata":{}}"#, "no data"),
        ("newrelic", 200, r#"{"results":[],"metadata":{}}"#, "no data"),
        (
            "newrelic",
            200,
            r#"{"results":[{"count":1}]}"#,
            r#"the answer is not an answer of New Relic's query API: {"results":[{"count":1}]}"#,
        ),
        (
            "graphite",
            200,
            r#"[{"target":"a","datapoints":[[1,10]]},{"target":"b","datapoints":[[2.5,10],[3,20],[null,30]]}]"#,
            "3",
        ),
        ("graphite", 200, r#"[{"target":"a","datapoints":[[null,10]]}]"#, "no data"),
        ("graphite", 200, "[]", "no data"),
        (
            "influxdb",
            200,
            "#datatype,string,long,dateTime:RFC3339,double,string\r\n#group,false,false,false,false,true\r\n#default,_result,,,,\r\n,result,table,_time,_value,_field\r\n,,0,2026-01-02T03:04:05Z,0.75,\"a,\"\"b\"\"\"\r\n,,0,2026-01-02T03:05:05Z,0.8,x\r\n\r\n",
            "0.75",
        ),
        ("influxdb", 200, "\r\n", "no data"),
        ("influxdb", 200, "#datatype,string,long,double\r\n,result,table,_value\r\n", "no data"),
        (
            "influxdb",
            200,
            "#datatype,string,long,string\r\n,result,table,_value\r\n,,0,x\r\n",
            "the answer is not annotated CSV with a column `_value` of type double: #datatype,string,long,string ,result,table,_value ,,0,x",
        ),
        ("influxdb", 200, "#datatype,string,string\r\n,error,reference\r\n,failed to parse,897\r\n", "failed to parse"),
        (
            "influxdb",
            401,
            r#"{"code":"unauthorized","message":"unauthorized access"}"#,
            r#"error response: 401: {"code":"unauthorized","message":"unauthorized access"}"#,
        ),
        (
            "dynatrace",
            200,
            r#"{"totalCount":1,"resolution":"Inf","result":[{"metricId":"m","data":[{"dimensions":[],"timestamps":[1767323045000],"values":[1.5]},{"timestamps":[1],"values":[2.5]}]}]}"#,
            "2.5",
        ),
        ("dynatrace", 200, r#"{"totalCount":0,"result":[{"metricId":"m","data":[]}]}"#, "no data"),
        ("dynatrace", 200, r#"{"result":[{"data":[{"values":[null]}]}]}"#, "no data"),
        (
            "stackdriver",
            200,
            r#"{"timeSeriesDescriptor":{},"timeSeriesData":[{"labelValues":[],"pointData":[{"values":[{"doubleValue":0.5}],"timeInterval":{}}]}]}"#,
            "0.5",
        ),
        ("stackdriver", 200, r#"{"timeSeriesData":[{"pointData":[{"values":[{"int64Value":"7"}]}]}]}"#, "7"),
        ("stackdriver", 200, r#"{"timeSeriesDescriptor":{}}"#, "no data"),
        (
            "cloudwatch",
            200,
            r#"{"MetricDataResults":[{"Id":"e1","Label":"x","StatusCode":"Complete","Timestamps":[1767323040],"Values":[12.0,11.0]}],"Messages":[]}"#,
            "12",
        ),
        (
            "cloudwatch",
            200,
            r#"{"MetricDataResults":[{"Id":"e1","StatusCode":"Complete","Timestamps":[],"Values":[]}]}"#,
            "no data",
        ),
        ("cloudwatch", 200, r#"{"MetricDataResults":[]}"#, "no data"),
        (
            "cloudwatch",
            200,
            r#"{"MetricDataResults":[{"Id":"e1","StatusCode":"Forbidden","Values":[]}]}"#,
            "Forbidden: without a message",
        ),
        (
            "splunk",
            200,
            "event: control-message\ndata: {\"event\":\"STREAM_START\"}\n\nevent: data\ndata: {\"data\":[{\"tsId\":\"AAA\",\"value\":1.0}],\"logicalTimestampMs\":1}\n\nevent: data\ndata: {\n\
             data: \"data\":[{\"tsId\":\"AAA\",\"value\":2.0}]}\n\n",
            "2",
        ),
        ("splunk", 200, "event: control-message\ndata: {\"event\":\"END_OF_CHANNEL\"}\n\n", "no data"),
        (
            "splunk",
            200,
            "event: data\ndata: {\"data\":[{\"tsId\":\"A\",\"value\":1},{\"tsId\":\"B\",\"value\":1}]}\n\n",
            "the query returns 2 series where one is expected: \"A\" and \"B\"",
        ),
        ("keptn", 200, r#"{"kind":"KeptnMetric","status":{"value":"0.25","rawValue":"eA=="}}"#, "0.25"),
        ("keptn", 200, r#"{"kind":"KeptnMetric","status":{}}"#, "no data"),
        ("keptn", 200, r#"{"kind":"Analysis","status":{"state":"Progressing"}}"#, "no data"),
        ("keptn", 200, r#"{"kind":"Analysis","status":{"state":"Completed","pass":true,"warning":true}}"#, "1"),
        ("keptn", 200, r#"{"kind":"Analysis","status":{"state":"Completed"}}"#, "0"),
        (
            "externalmetrics",
            200,
            r#"{"kind":"ExternalMetricValueList","items":[{"metricName":"queue","value":"1500m"}]}"#,
            "1.5",
        ),
        ("externalmetrics", 200, r#"{"items":[]}"#, "no data"),
    ];
    for (name, status, answer, expected) in cases {
        let said = match read(named(name), status, answer.as_bytes()) {
            Reading::Value(value) => value.to_string(),
            Reading::NoData => "no data".to_owned(),
            Reading::Error(problem) => problem.to_string(),
        };
        assert_eq!(said, expected, "{name}: {answer}");
    }
}

#[test]
fn no_answer_makes_a_provider_panic() {
    let names = ["prometheus", "datadog", "cloudwatch", "newrelic", "graphite", "influxdb", "stackdriver", "dynatrace"];
    let answers =
        ["null", "[]", "{}", "1", "\"x\"", "[[]]", "[1]", "{\"result\":1}", "{\"data\":[]}", "\u{feff}", "\"", ","];
    for name in names.into_iter().chain(["splunk", "keptn", "externalmetrics"]) {
        for answer in answers {
            let reading = read(named(name), 200, answer.as_bytes());
            assert!(!matches!(reading, Reading::Value(_)), "{name}: {answer}: {reading:?}");
        }
        let reading = read(named(name), 200, b"\xff\xfe");
        assert!(matches!(reading, Reading::Error(_)), "{name}: {reading:?}");
    }
}
