//! The same over a socket.

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, ConnectionError, Endpoint};

use super::*;

fn server(source: &Arc<dyn IdentitySource>, services: &[&str]) -> Endpoint {
    let crypto = QuicServerConfig::try_from(serving(source, services)).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

async fn connect(
    source: &Arc<dyn IdentitySource>,
    service: &str,
    to: &Endpoint,
) -> Result<(Endpoint, Connection), ConnectionError> {
    let crypto = QuicClientConfig::try_from(calling(source, "web", service)).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = to.local_addr().unwrap();
    let connecting = client.connect_with(config, to, &server_name(service)).unwrap();
    Ok((client, connecting.await?))
}

fn id(connection: &Connection) -> SpiffeId {
    let identity = connection.peer_identity().unwrap();
    peer_id(identity.downcast_ref::<Vec<CertificateDer<'static>>>().unwrap()).unwrap()
}

#[tokio::test]
async fn two_services_know_each_other() {
    let (_dir, source) = dev();
    let server = server(&source, &["orders"]);
    let accept = async { server.accept().await.unwrap().await.unwrap() };
    let (client, accepted) = tokio::join!(connect(&source, "orders", &server), accept);
    let (_endpoint, client) = client.unwrap();
    assert_eq!(id(&client).service(), "orders");
    assert_eq!(id(&accepted).service(), "web");
}

#[tokio::test]
async fn both_sides_can_explain_a_refusal() {
    let (_a, ours) = dev();
    let (_b, theirs) = dev();
    let server = server(&theirs, &["orders"]);
    let accept = async { server.accept().await.unwrap().await.unwrap_err() };
    let (client, accepted) = tokio::join!(connect(&ours, "orders", &server), accept);
    let why = "the peer's certificate was not issued by our CA";
    let client = explain("orders", &client.unwrap_err()).unwrap();
    assert!(client.starts_with(why), "{client}");
    let accepted = explain("web", &accepted).unwrap();
    let expected = format!("the peer did not accept our certificate: {why}");
    assert!(accepted.starts_with(&expected), "{accepted}");
}

#[tokio::test]
async fn a_name_that_is_not_served_is_explained() {
    let (_dir, source) = dev();
    let server = server(&source, &["orders"]);
    let accept = async { server.accept().await.unwrap().await.unwrap_err() };
    let (client, _) = tokio::join!(connect(&source, "payments", &server), accept);
    assert_eq!(
        explain("payments", &client.unwrap_err()).unwrap(),
        "the peer at this address does not serve `payments`"
    );
}

/// A client has ended its handshake before the server looks at its certificate.
#[tokio::test]
async fn a_client_that_is_refused_learns_it_after_it_connected() {
    let (ours, theirs) = (Ca::new("ours"), Ca::new("theirs"));
    let server = server(&ours.source_of("orders"), &["orders"]);
    let client: Arc<dyn IdentitySource> = Arc::new(Fixed {
        identity: theirs.source_of("web").identity("web").unwrap(),
        bundle: ours.source_of("web").bundle(),
    });
    let accept = async { server.accept().await.unwrap().await.unwrap_err() };
    let closed = async {
        match connect(&client, "orders", &server).await {
            Ok((_endpoint, connection)) => connection.closed().await,
            Err(error) => error,
        }
    };
    let (closed, accepted) = tokio::join!(closed, accept);
    let why = "the peer's certificate was not issued by our CA";
    assert_eq!(explain("web", &accepted).unwrap(), why);
    let told = format!("the peer did not accept our certificate: {why}");
    assert_eq!(explain("orders", &closed).unwrap(), told);
}
