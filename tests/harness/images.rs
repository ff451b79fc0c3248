//! [`Images`]: a real registry, and small images in it.

use leeboard::sandbox::{Admission, Program, Registry};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::Digest as _;

const OF_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const OF_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry, and who pushes to it.
pub struct Images {
    registry: Registry,
    admission: Admission,
    client: Client,
}

impl Images {
    /// An empty one.
    pub async fn start(admission: Admission) -> Images {
        let program = tokio::task::spawn_blocking(|| Program::Registry.find_or_build(|step| println!("{step}")));
        let program = program.await.unwrap().unwrap();
        let registry = Registry::start(&program, admission).await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        Images { registry, admission, client: Client::builder().no_proxy().build().unwrap() }
    }

    /// What manifests call the image of a repository.
    pub fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.registry.host())
    }

    /// The registry itself.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// What `docker login` would have written.
    pub fn docker_config(&self) -> String {
        let user = json!({"username": Registry::USER, "password": Registry::PASSWORD});
        json!({"auths": {self.registry.host(): user}}).to_string()
    }

    /// Pushes an image that was built at this time; the digest.
    pub async fn push(&self, repository: &str, tag: &str, built: &str) -> String {
        let manifest = self.image(repository, &json!({"os": "linux", "architecture": "amd64", "created": built})).await;
        self.put_manifest(repository, tag, OF_IMAGE, &manifest).await
    }

    /// Pushes an image of two platforms, of which the common one was built at this time; the digest.
    pub async fn push_index(&self, repository: &str, tag: &str, built: &str) -> String {
        let mut manifests = Vec::new();
        for (architecture, built) in [("arm64", "2020-01-01T00:00:00Z"), ("amd64", built)] {
            let config = json!({"os": "linux", "architecture": architecture, "created": built});
            let manifest = self.image(repository, &config).await.to_string();
            let digest = sha256(manifest.as_bytes());
            self.put(repository, &format!("manifests/{digest}"), OF_IMAGE, manifest.clone()).await;
            manifests.push(json!({
                "mediaType": OF_IMAGE, "digest": digest, "size": manifest.len(),
                "platform": {"os": "linux", "architecture": architecture},
            }));
        }
        let index = json!({"schemaVersion": 2, "mediaType": OF_INDEX, "manifests": manifests});
        self.put_manifest(repository, tag, OF_INDEX, &index).await
    }

    /// Notes, as clients do where a registry has no list of it, that an artifact of this type refers to a manifest.
    pub async fn refer(&self, repository: &str, digest: &str, artifact_type: &str) -> String {
        self.attach(repository, digest, artifact_type, &[]).await
    }

    /// The same of an artifact with these documents.
    pub async fn attach(&self, repository: &str, digest: &str, artifact_type: &str, documents: &[&str]) -> String {
        let mut artifact = self.image(repository, &json!({"of": digest})).await;
        for document in documents {
            let layer = json!({
                "mediaType": artifact_type, "digest": self.blob(repository, document).await, "size": document.len(),
            });
            artifact["layers"].as_array_mut().unwrap().push(layer);
        }
        let artifact = artifact.to_string();
        let artifact_digest = sha256(artifact.as_bytes());
        self.put(repository, &format!("manifests/{artifact_digest}"), OF_IMAGE, artifact.clone()).await;
        let index = json!({"schemaVersion": 2, "mediaType": OF_INDEX, "manifests": [{
            "mediaType": OF_IMAGE, "digest": artifact_digest, "size": artifact.len(), "artifactType": artifact_type,
        }]});
        self.put_manifest(repository, &digest.replacen(':', "-", 1), OF_INDEX, &index).await;
        artifact_digest
    }

    /// Pushes what cosign has written for an image as a tag: a folder under `tests/fixtures/signatures`.
    pub async fn sign_by_tag(&self, repository: &str, digest: &str, folder: &str) {
        self.blob(repository, &signed(folder, "tag-config.json")).await;
        self.blob(repository, &signed(folder, "payload.json")).await;
        let tag = format!("manifests/{}.sig", digest.replacen(':', "-", 1));
        self.put(repository, &tag, OF_IMAGE, signed(folder, "tag.json")).await;
    }

    /// The same of what refers to the image.
    pub async fn sign_by_bundle(&self, repository: &str, digest: &str, folder: &str) {
        self.blob(repository, "{}").await;
        self.blob(repository, &signed(folder, "bundle.json")).await;
        let referrer = signed(folder, "referrer.json");
        self.put(repository, &format!("manifests/{}", sha256(referrer.as_bytes())), OF_IMAGE, referrer).await;
        let tag = format!("manifests/{}", digest.replacen(':', "-", 1));
        self.put(repository, &tag, OF_INDEX, signed(folder, "referrers.json")).await;
    }

    /// Pushes a tag as cosign does, with a payload of whatever length.
    pub async fn claim_by_tag(&self, repository: &str, digest: &str, payload: &str) {
        let mut manifest = self.image(repository, &json!({"of": digest})).await;
        manifest["layers"] = json!([{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": self.blob(repository, payload).await, "size": payload.len(),
            "annotations": {"dev.cosignproject.cosign/signature": "MAA="},
        }]);
        self.put_manifest(repository, &format!("{}.sig", digest.replacen(':', "-", 1)), OF_IMAGE, &manifest).await;
    }

    /// The manifest of an image with this configuration, which is there then.
    async fn image(&self, repository: &str, config: &Value) -> Value {
        let config = config.to_string();
        let digest = self.blob(repository, &config).await;
        json!({
            "schemaVersion": 2, "mediaType": OF_IMAGE, "layers": [],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len()},
        })
    }

    /// Pushes bytes; their digest.
    async fn blob(&self, repository: &str, text: &str) -> String {
        let digest = sha256(text.as_bytes());
        let begun =
            self.send(self.client.request(Method::POST, self.url(repository, "blobs/uploads/")), StatusCode::ACCEPTED);
        let location = begun.await.headers()["location"].to_str().unwrap().to_owned();
        let mut location = reqwest::Url::parse(&self.url(repository, "")).unwrap().join(&location).unwrap();
        location.query_pairs_mut().append_pair("digest", &digest);
        let upload = self.client.request(Method::PUT, location);
        let upload = upload.header("content-type", "application/octet-stream").body(text.to_owned());
        self.send(upload, StatusCode::CREATED).await;
        digest
    }

    async fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, manifest: &Value) -> String {
        let text = manifest.to_string();
        let digest = sha256(text.as_bytes());
        self.put(repository, &format!("manifests/{tag}"), media_type, text).await;
        digest
    }

    async fn put(&self, repository: &str, path: &str, media_type: &str, text: String) {
        let request = self.client.request(Method::PUT, self.url(repository, path));
        self.send(request.header("content-type", media_type).body(text), StatusCode::CREATED).await;
    }

    async fn send(&self, request: reqwest::RequestBuilder, expected: StatusCode) -> Response {
        let request = match self.admission {
            Admission::Everybody => request,
            Admission::SignedIn => request.basic_auth(Registry::USER, Some(Registry::PASSWORD)),
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected, "{}", response.url());
        response
    }

    fn url(&self, repository: &str, path: &str) -> String {
        format!("http://{}/v2/{repository}/{path}", self.registry.host())
    }
}

/// What cosign has written.
fn signed(folder: &str, file: &str) -> String {
    let path = format!("{}/tests/fixtures/signatures/{folder}/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let hash: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}
