//! Config over the Kubernetes API, against a server that can expire, restart and refuse.

mod mesh;

use mesh::{
    Member, Mesh, Proxy, api_server::ApiServer, applications, eventually, fresh_address, name_of,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_engine::documents::{Document, DocumentName, Envelope, Protocol};

struct World {
    mesh: Mesh,
    api: ApiServer,
    entrance: std::net::SocketAddr,
}

impl World {
    /// An API server with `mesh` and `shop/echo`, whose endpoint is `app`.
    async fn new(app: std::net::SocketAddr) -> Self {
        let mesh = Mesh::new();
        let address = fresh_address();
        let issued = mesh.authority.issue_server(address.ip());
        let api = ApiServer::start(address, &issued, "first-token").await;
        std::fs::write(mesh.path().join("token"), "first-token\n").unwrap();
        std::fs::write(mesh.path().join("api-ca.crt"), mesh.authority.root_pem()).unwrap();
        let members = [Member::plain(app)];
        mesh.service(("shop", "echo"), 9000, Protocol::Tcp, &members, |_| {});
        let world = Self {
            mesh,
            api,
            entrance: fresh_address(),
        };
        for entry in std::fs::read_dir(world.mesh.config_dir()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let json = std::fs::read_to_string(&path).unwrap();
            world.api.put(name, &json);
        }
        world
    }

    fn put(&self, document: Document) {
        let name = name_of(&document).to_string();
        self.api.put(&name, &Envelope::seal(document).to_json());
    }

    async fn proxy(&self) -> Proxy {
        let file = |name: &str| self.mesh.path().join(name).display().to_string();
        self.mesh
            .proxy("shop", "frontend")
            .config(&[
                "--config-api",
                "--api-server",
                &format!("https://{}", self.api.address),
                "--api-token-file",
                &file("token"),
                "--api-ca-file",
                &file("api-ca.crt"),
            ])
            .arg("--state-dir", file("state"))
            .outbound_bind(self.entrance, "shop/echo:9000")
            .start()
            .await
    }

    /// Points `shop/echo` at another application.
    fn move_to(&self, app: std::net::SocketAddr) {
        self.mesh
            .endpoints(("shop", "echo"), 9000, &[Member::plain(app)]);
        let path = self.mesh.config_dir().join("endpoints.shop.echo.json");
        let json = std::fs::read_to_string(path).unwrap();
        self.put(Envelope::from_json(&json).unwrap().document);
    }

    /// The first bytes that come from `shop/echo`.
    async fn greeting(&self) -> Option<String> {
        let mut stream = TcpStream::connect(self.entrance).await.ok()?;
        stream.write_all(b"?").await.ok()?;
        let mut bytes = [0; 3];
        stream.read_exact(&mut bytes).await.ok()?;
        String::from_utf8(bytes.into()).ok()
    }

    async fn until_greeted(&self, with: &str) {
        eventually(with, || async {
            (self.greeting().await.as_deref() == Some(with)).then_some(())
        })
        .await;
    }
}

async fn greeters() -> [std::net::SocketAddr; 2] {
    let (one, two) = (fresh_address(), fresh_address());
    applications::greeter(one, "one").await;
    applications::greeter(two, "two").await;
    [one, two]
}

#[tokio::test]
async fn documents_are_followed_by_name_over_one_connection() {
    let [one, two] = greeters().await;
    let world = World::new(one).await;
    let proxy = world.proxy().await;
    world.until_greeted("one").await;
    world.move_to(two);
    world.until_greeted("two").await;
    // mesh, inbound, service, endpoints: nothing else was asked for.
    assert_eq!(world.api.lists(), 4);
    assert_eq!(world.api.connections(), 1);
    let config = proxy.admin("/config").await;
    let documents = config["documents"].as_object().unwrap();
    let names: Vec<&str> = documents.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["endpoints.shop.echo", "mesh", "service.shop.echo"],
        "the namespace has no inbound document"
    );
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_it_was_without_listing() {
    let [one, two] = greeters().await;
    let world = World::new(one).await;
    let _proxy = world.proxy().await;
    world.until_greeted("one").await;
    eventually("four watches", || async {
        (world.api.watches() == 4).then_some(())
    })
    .await;
    world.api.end_watches();
    eventually("the watches again", || async {
        (world.api.watches() >= 8).then_some(())
    })
    .await;
    world.move_to(two);
    world.until_greeted("two").await;
    assert_eq!(world.api.lists(), 4);
}

#[tokio::test]
async fn an_expired_version_is_listed_anew() {
    let [one, two] = greeters().await;
    let world = World::new(one).await;
    let _proxy = world.proxy().await;
    world.until_greeted("one").await;
    world.api.expire();
    eventually("the lists again", || async {
        (world.api.lists() >= 8).then_some(())
    })
    .await;
    world.move_to(two);
    world.until_greeted("two").await;
}

#[tokio::test]
async fn an_outage_changes_nothing_and_what_changed_meanwhile_comes_after_it() {
    let [one, two] = greeters().await;
    let world = World::new(one).await;
    let first = world.proxy().await;
    world.until_greeted("one").await;
    world.api.set_down(true);
    world.move_to(two);
    assert_eq!(world.greeting().await.as_deref(), Some("one"));

    // A restart during the outage starts from the last good state.
    drop(first);
    let _second = world.proxy().await;
    world.until_greeted("one").await;

    // The token was rotated meanwhile.
    world.api.set_token("second-token");
    std::fs::write(world.mesh.path().join("token"), "second-token").unwrap();
    world.api.set_down(false);
    world.until_greeted("two").await;
}

#[tokio::test]
async fn a_deleted_service_is_withdrawn_and_comes_back() {
    let [one, _] = greeters().await;
    let world = World::new(one).await;
    let _proxy = world.proxy().await;
    world.until_greeted("one").await;
    let name = DocumentName::Service("shop".to_owned(), "echo".to_owned());
    let path = world.mesh.config_dir().join(format!("{name}.json"));
    let json = std::fs::read_to_string(path).unwrap();
    world.api.delete(&name.to_string());
    eventually("refusal", || async {
        world.greeting().await.is_none().then_some(())
    })
    .await;
    world.api.put(&name.to_string(), &json);
    world.until_greeted("one").await;
}
