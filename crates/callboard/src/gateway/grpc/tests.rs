//! What is described is what is guarded, and what is refused keeps its code.

use super::{status::status, *};
use crate::gateway::Error;
use callboard_core::Problem;
use http::StatusCode;
use prost::Message;
use prost_types::FileDescriptorSet;
use std::collections::BTreeSet;
use tonic::Code;
use tonic_types::StatusExt;

#[test]
fn every_method_asks_for_a_permission_and_there_is_no_other() {
    let mut described = BTreeSet::new();
    for bytes in [DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        for file in FileDescriptorSet::decode(bytes).expect("descriptors").file {
            for service in &file.service {
                let of = |method: &prost_types::MethodDescriptorProto| {
                    format!("/{}.{}/{}", file.package(), service.name(), method.name())
                };
                described.extend(service.method.iter().map(of));
            }
        }
    }
    described.insert("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned());
    let guarded: BTreeSet<_> = METHODS.iter().map(|method| method.path.to_owned()).collect();
    assert_eq!(guarded, described);
    let open = METHODS.iter().filter(|method| method.asks == Public).map(|method| method.path);
    assert!(open.into_iter().all(|path| path.starts_with("/grpc.")));
}

#[test]
fn a_refusal_keeps_its_code_its_mistakes_and_when_to_come_back() {
    let mut error =
        Error::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_definition", "the definition has mistakes");
    error.problems = Some(vec![Problem::new("nodes[0]", "unknown_type", "there is no such kind")]);
    error.retry_after = Some(3);
    let status = status(&error);
    let details = status.get_error_details();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "the definition has mistakes"));
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("invalid_definition", "callboard"));
    let violations = &details.bad_request().expect("mistakes").field_violations;
    assert_eq!(violations[0].field, "nodes[0]");
    assert_eq!(violations[0].description, "unknown_type: there is no such kind");
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    assert_eq!(retry, Some(std::time::Duration::from_secs(3)));
    for (code, text, expected) in [
        (401, "credential_missing", Code::Unauthenticated),
        (403, "forbidden", Code::PermissionDenied),
        (404, "unknown_run", Code::NotFound),
        (409, "version_conflict", Code::Aborted),
        (409, "run_ended", Code::FailedPrecondition),
        (410, "value_lost", Code::FailedPrecondition),
        (413, "too_large", Code::InvalidArgument),
        (429, "mailbox_full", Code::ResourceExhausted),
        (500, "internal", Code::Internal),
        (503, "unavailable", Code::Unavailable),
    ] {
        let error = Error::new(StatusCode::from_u16(code).expect("a status"), text, "");
        assert_eq!(super::status::status(&error).code(), expected, "{code} {text}");
    }
}
