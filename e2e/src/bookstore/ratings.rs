//! The ratings over gRPC: `bookstore.v1.Ratings`, declared here by hand because a build must
//! not need `protoc`. As a proto file it would read
//!
//! ```proto
//! service Ratings {
//!   rpc Get(RatingRequest) returns (Rating);
//!   rpc Watch(RatingRequest) returns (stream Rating);
//! }
//! ```

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    http::uri::PathAndQuery,
    response::Response,
    routing::post,
};
use futures::stream::{Stream, StreamExt, iter};
use tonic::{Status, transport::Channel};
use tonic_prost::ProstCodec;

use super::answer::{CLIENT_CERT, Instance};

const GET: &str = "/bookstore.v1.Ratings/Get";
const WATCH: &str = "/bookstore.v1.Ratings/Watch";

/// A stream is never longer than this.
const LONGEST_STREAM: u32 = 1000;

/// Which book, and how often.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RatingRequest {
    /// The book's id.
    #[prost(string, tag = "1")]
    pub book: String,
    /// For `Watch`: the number of messages, at most 1000.
    #[prost(uint32, tag = "2")]
    pub count: u32,
    /// For `Watch`: milliseconds before each message.
    #[prost(uint32, tag = "3")]
    pub interval: u32,
}

/// A rating, and who gave the answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rating {
    /// The book's id.
    #[prost(string, tag = "1")]
    pub book: String,
    /// 0 to 5.
    #[prost(double, tag = "2")]
    pub stars: f64,
    /// Counts the messages of a stream from 0.
    #[prost(uint32, tag = "3")]
    pub sequence: u32,
    /// The instance that answers.
    #[prost(string, tag = "4")]
    pub instance: String,
    /// The value of `x-forwarded-client-cert`; empty if there was none.
    #[prost(string, tag = "5")]
    pub client_cert: String,
}

pub(super) fn router(instance: Instance) -> Router {
    Router::new()
        .route(GET, post(get))
        .route(WATCH, post(watch))
        .with_state(instance)
}

fn rate(instance: &Instance, request: &tonic::Request<RatingRequest>) -> Rating {
    let cert = request.metadata().get(CLIENT_CERT);
    Rating {
        book: request.get_ref().book.clone(),
        stars: 4.5,
        sequence: 0,
        instance: instance.instance.clone(),
        client_cert: cert
            .map(|value| String::from_utf8_lossy(value.as_encoded_bytes()).into_owned())
            .unwrap_or_default(),
    }
}

async fn get(State(instance): State<Instance>, request: Request) -> Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<RatingRequest>| {
        let rating = rate(&instance, &request);
        async move { Ok::<_, Status>(tonic::Response::new(rating)) }
    });
    let codec = ProstCodec::<Rating, RatingRequest>::default();
    tonic::server::Grpc::new(codec)
        .unary(service, request)
        .await
}

async fn watch(State(instance): State<Instance>, request: Request) -> Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<RatingRequest>| {
        let rating = rate(&instance, &request);
        let count = request.get_ref().count.min(LONGEST_STREAM);
        let interval = Duration::from_millis(request.get_ref().interval.into());
        let ratings = iter(0..count).then(move |sequence| {
            let rating = Rating {
                sequence,
                ..rating.clone()
            };
            async move {
                if !interval.is_zero() {
                    tokio::time::sleep(interval).await;
                }
                Ok::<_, Status>(rating)
            }
        });
        async move { Ok::<_, Status>(tonic::Response::new(ratings)) }
    });
    let codec = ProstCodec::<Rating, RatingRequest>::default();
    tonic::server::Grpc::new(codec)
        .server_streaming(service, request)
        .await
}

/// A client of `bookstore.v1.Ratings`.
#[derive(Clone, Debug)]
pub struct RatingsClient {
    grpc: tonic::client::Grpc<Channel>,
}

impl RatingsClient {
    /// Calls over `channel`.
    pub fn new(channel: Channel) -> Self {
        Self {
            grpc: tonic::client::Grpc::new(channel),
        }
    }

    /// One rating.
    pub async fn get(&mut self, book: &str) -> Result<Rating, Status> {
        self.ready().await?;
        let request = RatingRequest {
            book: book.to_owned(),
            ..RatingRequest::default()
        };
        let codec = ProstCodec::<RatingRequest, Rating>::default();
        let path = PathAndQuery::from_static(GET);
        let response = self
            .grpc
            .unary(tonic::Request::new(request), path, codec)
            .await?;
        Ok(response.into_inner())
    }

    /// `count` ratings, one after another.
    pub async fn watch(
        &mut self,
        book: &str,
        count: u32,
    ) -> Result<impl Stream<Item = Result<Rating, Status>> + use<>, Status> {
        self.watch_every(book, count, Duration::ZERO).await
    }

    /// `count` ratings, each so long after the one before.
    pub async fn watch_every(
        &mut self,
        book: &str,
        count: u32,
        interval: Duration,
    ) -> Result<impl Stream<Item = Result<Rating, Status>> + use<>, Status> {
        self.ready().await?;
        let request = RatingRequest {
            book: book.to_owned(),
            count,
            interval: u32::try_from(interval.as_millis()).unwrap_or(u32::MAX),
        };
        let codec = ProstCodec::<RatingRequest, Rating>::default();
        let path = PathAndQuery::from_static(WATCH);
        let response = self
            .grpc
            .server_streaming(tonic::Request::new(request), path, codec)
            .await?;
        Ok(response.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc
            .ready()
            .await
            .map_err(|error| Status::unavailable(format!("the channel is not ready: {error}")))
    }
}
