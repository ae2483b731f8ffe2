//! The gRPC server: healthy, self-describing, and clear about what is wrong with a request.

use customer_health::client::{Client, ClientError};
use customer_health::error::ErrorKind;
use customer_health::proto::customer_health_service_client::CustomerHealthServiceClient;
use customer_health::proto::{MaterializeRequest, REASON};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;

use crate::support::{Running, source};

const SERVICE: &str = "customer_health.v1.CustomerHealthService";

fn asking(text: &str, base_dir: &str) -> MaterializeRequest {
    MaterializeRequest { component: source(text, base_dir.as_ref()), ..Default::default() }
}

#[tokio::test]
async fn health_speaks_for_the_server_and_the_service_until_shutdown() {
    let running = Running::start().await;
    let mut health = HealthClient::new(running.channel().await);
    let service = HealthCheckRequest { service: SERVICE.to_owned() };
    for service in [String::new(), SERVICE.to_owned()] {
        let answer = health.check(HealthCheckRequest { service }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let mut watched = health.watch(service).await.unwrap().into_inner();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
    drop(running.stop);
    assert_eq!(watched.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop((watched, health));
    running.server.await.unwrap().unwrap();
}

async fn reflect(channel: Channel, request: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn reflection_lists_the_services_and_gives_the_contract() {
    let running = Running::start().await;
    let answer = reflect(running.channel().await, MessageRequest::ListServices(String::new())).await;
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else { panic!("{answer:?}") };
    let mut names: Vec<String> = listed.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]);
    let answer = reflect(running.channel().await, MessageRequest::FileContainingSymbol(SERVICE.to_owned())).await;
    assert!(matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?}");
    running.stop().await;
}

/// Many clients in use know reflection by its name before v1 only.
#[tokio::test]
async fn reflection_answers_to_its_old_name_too() {
    let running = Running::start().await;
    let asked = v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(SERVICE.to_owned());
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let channel = running.channel().await;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response;
    use v1alpha::server_reflection_response::MessageResponse as Answer;
    assert!(matches!(answer, Some(Answer::FileDescriptorResponse(_))), "{answer:?}");
    drop((answers, client));
    running.stop().await;
}

#[tokio::test]
async fn an_invalid_component_is_told_with_all_places() {
    let running = Running::start().await;
    let text = "asset_name: x\nchurn_treshold: 40\nmin_health_score: 90\nmax_health_score: 10\n";
    let mut client = CustomerHealthServiceClient::new(running.channel().await);
    let status = client.materialize(asking(text, "/")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.metadata().get(REASON).unwrap(), "INVALID_COMPONENT");
    for place in ["component.yaml:2:1: ", "component.yaml:3:"] {
        assert!(status.message().contains(place), "{place} in {}", status.message());
    }
    running.stop().await;
}

#[tokio::test]
async fn a_base_folder_must_be_absolute() {
    let running = Running::start().await;
    let mut client = Client::connect(&running.uri()).await.unwrap();
    let error = client.materialize(asking("inputs: {usage: u}", "data"), |_| {}).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidComponent);
    assert!(error.message.starts_with("component.base_dir is `data`"), "{error}");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_plainly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ClientError { kind, message, .. } = Client::connect(&uri).await.unwrap_err();
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(message.to_lowercase().contains("connection refused") && message.contains("\nhint: "), "{message}");
}
