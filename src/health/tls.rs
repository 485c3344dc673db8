//! TLS for probes: configurations for clients, shared by all probes of equal options.
//!
//! CA certificates are read when the first probe that verifies needs them; while there are none, only such probes
//! fail, with an error that says so, and each looks again. A bundle that was read is kept until the end.
//!
//! | a bundle is looked for in | on |
//! |---|---|
//! | the setting, else the file that `SSL_CERT_FILE` names, and then nowhere else | |
//! | `/etc/ssl/certs/ca-certificates.crt` | Debian, Alpine, Arch |
//! | `/etc/pki/tls/certs/ca-bundle.crt`, `/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem` | Fedora, Red Hat |
//! | `/etc/ssl/ca-bundle.pem` | SUSE |
//! | `/etc/ssl/cert.pem` | Alpine |

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use tokio::sync::OnceCell;

/// What is offered in the handshake besides TLS itself (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Protocols {
    /// Nothing.
    None,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2, else HTTP/1.1.
    Http2,
}

/// Makes configurations for TLS clients.
#[derive(Debug)]
pub(super) struct Tls {
    ca_bundle: Option<PathBuf>,
    usual: OnceCell<Arc<WebPkiServerVerifier>>,
    provider: OnceLock<Arc<CryptoProvider>>,
}

impl Tls {
    /// Takes CA certificates from this file, or looks for one.
    pub(super) fn new(ca_bundle: Option<PathBuf>) -> Tls {
        Tls { ca_bundle, usual: OnceCell::new(), provider: OnceLock::new() }
    }

    /// A configuration that verifies certificates, or does not; or why there is none.
    pub(super) async fn config(&self, skip_verify: bool, protocols: Protocols) -> Result<Arc<ClientConfig>, String> {
        if skip_verify {
            return Ok(Arc::new(self.build(self.verifier(Certificate::Any), protocols)));
        }
        let verifier = Arc::clone(self.usual.get_or_try_init(|| self.read_verifier()).await?);
        Ok(Arc::new(self.build(verifier, protocols)))
    }

    /// A configuration like [`Tls::config`]'s that looks for this name in the certificate instead of the one that is
    /// connected to, and sends none (an IP address is never sent: RFC 6066 section 3).
    pub(super) async fn config_for_address(
        &self,
        name: ServerName<'static>,
        protocols: Protocols,
    ) -> Result<Arc<ClientConfig>, String> {
        let inner = Arc::clone(self.usual.get_or_try_init(|| self.read_verifier()).await?);
        let mut config = self.build(self.verifier(Certificate::OtherName(inner, name)), protocols);
        config.enable_sni = false;
        Ok(Arc::new(config))
    }

    /// A configuration that trusts nobody, for connections without TLS.
    pub(super) fn none(&self) -> Arc<ClientConfig> {
        Arc::new(self.builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    fn build(&self, verifier: Arc<dyn ServerCertVerifier>, protocols: Protocols) -> ClientConfig {
        let builder = self.builder().dangerous().with_custom_certificate_verifier(verifier);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = match protocols {
            Protocols::None => Vec::new(),
            Protocols::Http1 => vec![b"http/1.1".to_vec()],
            Protocols::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        // A resumed session would hide that the certificate has expired meanwhile.
        config.resumption = Resumption::disabled();
        config
    }

    fn verifier(&self, certificate: Certificate) -> Arc<Verifier> {
        let algorithms = self.provider().signature_verification_algorithms;
        Arc::new(Verifier { algorithms, certificate })
    }

    fn builder(&self) -> ConfigBuilder<ClientConfig, WantsVerifier> {
        ClientConfig::builder_with_provider(self.provider())
            .with_safe_default_protocol_versions()
            .expect("ring provides cipher suites for the default versions")
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(self.provider.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
    }

    async fn read_verifier(&self) -> Result<Arc<WebPkiServerVerifier>, String> {
        let (path, pem) = self.read_bundle().await?;
        let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider())
            .build()
            .map_err(|error| format!("no CA certificate can be used in {}: {error}", path.display()))
    }

    async fn read_bundle(&self) -> Result<(PathBuf, Vec<u8>), String> {
        let named = self.ca_bundle.clone().or_else(|| std::env::var_os("SSL_CERT_FILE").map(PathBuf::from));
        if let Some(path) = named {
            return match tokio::fs::read(&path).await {
                Ok(pem) => Ok((path, pem)),
                Err(error) => Err(format!("cannot read CA certificates from {}: {error}", path.display())),
            };
        }
        for path in BUNDLES.map(Path::new) {
            if let Ok(pem) = tokio::fs::read(path).await {
                return Ok((path.to_owned(), pem));
            }
        }
        Err("this machine has no CA certificates; install ca-certificates, or name a bundle in SSL_CERT_FILE"
            .to_owned())
    }
}

/// Verifies that the server has the key of its certificate, and of the certificate what is asked for.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    certificate: Certificate,
}

/// What a certificate must be.
#[derive(Debug)]
enum Certificate {
    /// Whatever it is.
    Any,
    /// As usual, but for another name than the one that is connected to.
    OtherName(Arc<WebPkiServerVerifier>, ServerName<'static>),
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.certificate {
            Certificate::Any => Ok(ServerCertVerified::assertion()),
            Certificate::OtherName(verifier, name) => {
                verifier.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Where systems keep their CA certificates. Source: their packages `ca-certificates`.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
