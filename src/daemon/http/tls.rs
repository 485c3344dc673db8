//! TLS of the HTTP API: certificate, key, and the authorities of clients' certificates, read from files and read again when
//! they change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::TlsAcceptor;

use crate::fingerprint::Fingerprint;

/// Where certificates and key are, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, and what links it to its authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities; if there are some, each client must show a certificate of one of them.
    pub client_ca: Option<PathBuf>,
}

/// What connections are made with.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

/// Why TLS cannot be had with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("{setting}: cannot read {path}: {problem}")]
    Read {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The files do not belong together.
    #[error("http_tls_cert and http_tls_key: {problem}; name a certificate and the key that it was made for")]
    Pair {
        /// What rustls said.
        problem: String,
    },
}

impl Tls {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Tls, TlsError> {
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Tls { files, current })
    }

    /// Reads them again; connections that come later are made with what they now hold. If they are refused, with what they held.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.files)?));
        Ok(())
    }

    /// Makes a connection of ours out of a socket's.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// The state of the files.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        let TlsFiles { cert, key, client_ca } = &self.files;
        [Some(cert), Some(key), client_ca.as_ref()].into_iter().flatten().for_each(|file| fingerprint.add_file(file));
        fingerprint
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let chain = certificates("http_tls_cert", &files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|problem| unread("http_tls_key", &files.key, format!("no private key as PEM: {problem}")))?;
    let provider = Arc::new(ring::default_provider());
    let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring provides cipher suites for the default versions");
    let clients = match &files.client_ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("http_tls_client_ca", path)? {
                roots.add(authority).map_err(|problem| unread("http_tls_client_ca", path, problem.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            versions.with_client_cert_verifier(
                verifier.map_err(|problem| unread("http_tls_client_ca", path, problem.to_string()))?,
            )
        }
        None => versions.with_no_client_auth(),
    };
    let pair = clients.with_single_cert(chain, key);
    let mut config = pair.map_err(|problem| TlsError::Pair { problem: problem.to_string() })?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|problem| unread(setting, path, problem.to_string()))?;
    if certificates.is_empty() {
        return Err(unread(setting, path, "no certificate as PEM is in it".to_owned()));
    }
    Ok(certificates)
}

fn unread(setting: &'static str, path: &Path, problem: String) -> TlsError {
    TlsError::Read { setting, path: path.to_path_buf(), problem }
}

/// The name of HTTP/2 where both sides of a TLS connection agree on what they speak. Source: RFC 9113 section 3.1.
pub(super) const HTTP_2: &[u8] = b"h2";
