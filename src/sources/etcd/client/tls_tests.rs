//! Members that are spoken to over TLS, and want a certificate.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::{
    Client, Error, Settings,
    fake::{Fake, settings, well},
};

/// An authority, and what it vouches for.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }

    fn pair(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn client(&self, pair: Option<Pair>) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(self.roots());
        Arc::new(match pair {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        })
    }

    /// A member that has a certificate for this name, and wants one of who comes.
    async fn member(&self, name: &str) -> Fake {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider)).build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let (chain, key) = self.pair(name, ExtendedKeyUsagePurpose::ServerAuth);
        let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Fake::over("127.0.0.1:0".parse().unwrap(), well, move |stream| {
            let accepting = acceptor.accept(stream);
            async { accepting.await.ok() }
        })
        .await
    }
}

async fn result(fake: &Fake, tls: Option<Arc<ClientConfig>>) -> Result<(), Error> {
    let client = Client::connect(Settings { tls, ..settings(vec![fake.host()]) });
    client.get(b"/a").await.map(drop)
}

#[tokio::test]
async fn a_certificate_is_shown_to_who_wants_one() {
    let authority = Authority::new("one");
    let member = authority.member("127.0.0.1").await;
    let pair = authority.pair("nameplate", ExtendedKeyUsagePurpose::ClientAuth);
    result(&member, Some(authority.client(Some(pair)))).await.unwrap();
}

#[tokio::test]
async fn who_is_not_trusted_is_not_connected_and_told_why() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    let member = authority.member("127.0.0.1").await;
    let elsewhere = authority.member("192.0.2.1").await;
    let strangers = other.pair("nameplate", ExtendedKeyUsagePurpose::ClientAuth);
    for (member, tls, told) in [
        (&member, Some(authority.client(None)), "CertificateRequired"),
        (&member, Some(authority.client(Some(strangers))), "UnknownCA"),
        (&member, Some(other.client(None)), "UnknownIssuer"),
        (&elsewhere, Some(authority.client(None)), "not valid for name"),
        (&member, None, "etcds://"),
    ] {
        let error = result(member, tls).await.unwrap_err();
        assert!(matches!(&error, Error::Unavailable { .. }) && error.to_string().contains(told), "{told}: {error}");
    }
}
