//! `callboard.v1.Runs`.

use super::{
    Served,
    caller::{Caller, answer},
    forms, shown,
    status::{refused, status},
    v1::{self, runs_server::Runs},
    workflows::{named, page},
};
use crate::{
    gateway::Error,
    operations::{
        self, Approve, Call, Changes, Filter, News, Nothing, Refusal, Rerun, Signal, StartInline, Which,
    },
};
use callboard_core::workflow::view::RunView;
use futures::{StreamExt, stream, stream::BoxStream};
use http::StatusCode;
use serde_json::{Map, Value, json};
use tonic::{Request, Response, Status, async_trait};

#[async_trait]
impl Runs for Served {
    type WatchRunStream = BoxStream<'static, Result<v1::News, Status>>;

    async fn start_run(
        &self,
        request: Request<v1::StartRunRequest>,
    ) -> Result<Response<v1::Started>, Status> {
        let (Caller { principal, trace, key }, v1::StartRunRequest { definition, input }) =
            Caller::of(request)?;
        let (definition, input) = (forms::document(definition)?, forms::json(input)?);
        let body = StartInline { definition, input, ..StartInline::default() };
        let started = self.operations.start_inline(&principal, &trace, key, body).await.map_err(refused)?;
        let again = started.replayed;
        let run = started.view.run_id.to_string();
        named(answer(shown::started(started.view), again), &run)
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        let (caller, v1::ListRunsRequest { limit, cursor, workflow_id, status }) = Caller::of(request)?;
        let workflow_id = match workflow_id.is_empty() {
            true => None,
            false => Some(super::caller::workflow(&workflow_id)?),
        };
        let status = (!status.is_empty()).then_some(status).into_iter().collect();
        let filter = Filter { workflow_id, status, ..Filter::default() };
        let found = self.operations.list_runs(&caller.principal, &page(limit, cursor), filter).await;
        let found = found.map_err(refused)?;
        let items = found.items.into_iter().map(shown::run_item).collect();
        Ok(Response::new(v1::ListRunsResponse { items, next: found.next.unwrap_or_default() }))
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, v1::GetRunRequest { id }) = Caller::of(request)?;
        let found = self.operations.run(&caller.principal, &caller.trace, &caller.run(&id)?).await;
        Ok(Response::new(shown::run_item(found.map_err(refused)?)))
    }

    async fn list_steps(
        &self,
        request: Request<v1::ListStepsRequest>,
    ) -> Result<Response<v1::ListStepsResponse>, Status> {
        let (caller, v1::ListStepsRequest { id, limit, cursor, after }) = Caller::of(request)?;
        let (run, of) = (caller.run(&id)?, page(limit, cursor));
        let changes = Changes { after: after.map(|seq| seq.to_string()) };
        let all = Which::default();
        let found = self.operations.steps(&caller.principal, &caller.trace, &run, &of, &changes, &all).await;
        let (found, _room) = found.map_err(refused)?;
        Ok(Response::new(v1::ListStepsResponse {
            items: found.items.into_iter().map(shown::step).collect(),
            next: found.next.unwrap_or_default(),
            seq: found.seq,
            unreadable: found.unreadable,
        }))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let (caller, v1::ListEventsRequest { id, after, limit }) = Caller::of(request)?;
        let run = caller.run(&id)?;
        let found = self.operations.history(&caller.principal, &caller.trace, &run, after, limit).await;
        let (found, _room) = found.map_err(refused)?;
        let next = found.next.as_deref().and_then(|next| next.parse().ok());
        Ok(Response::new(v1::ListEventsResponse {
            items: found.items.iter().map(shown::event).collect(),
            next,
        }))
    }

    async fn watch_run(
        &self,
        request: Request<v1::WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let (caller, v1::WatchRunRequest { id, after_seq, said }) = Caller::of(request)?;
        let run = caller.run(&id)?;
        let cursor = self.operations.cursor(&caller.principal, &run, after_seq).await.map_err(refused)?;
        // Told to its end.
        let Some(cursor) = cursor else { return Ok(Response::new(stream::empty().boxed())) };
        let place = self.limits.lasting().map_err(|error| status(&error))?;
        let gatekeeper = self.operations.access.clone();
        // Who may not any more hears no more.
        let ended = async move {
            gatekeeper.ended(&caller.principal).await;
            let detail = "the key or the token is not good any more";
            Err::<v1::News, _>(status(&Error::new(StatusCode::UNAUTHORIZED, "invalid_credential", detail)))
        };
        let news = cursor.follow(said).map(move |news| {
            // Held as long as the stream.
            let _ = &place;
            let news = match news {
                News::Recorded(event) => v1::news::News::Event(shown::event(&event)),
                News::Said(said) => v1::news::News::Said(shown::words(said)),
            };
            Some(Ok(v1::News { news: Some(news) }))
        });
        // The feed's own end is the end, and so is that of the credential.
        let news = news.chain(stream::once(async { None }));
        let ended = stream::once(ended).map(Some).chain(stream::once(async { None }));
        let all = stream::select(news, ended.boxed()).take_while(|next| std::future::ready(next.is_some()));
        Ok(Response::new(all.filter_map(std::future::ready).boxed()))
    }

    async fn cancel_run(&self, request: Request<v1::OperateRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, v1::OperateRunRequest { id }) = Caller::of(request)?;
        done(self.operations.cancel(call(caller, &id)?, &Nothing {}).await)
    }

    async fn pause_run(&self, request: Request<v1::OperateRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, v1::OperateRunRequest { id }) = Caller::of(request)?;
        done(self.operations.pause(call(caller, &id)?, &Nothing {}).await)
    }

    async fn resume_run(&self, request: Request<v1::OperateRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, v1::OperateRunRequest { id }) = Caller::of(request)?;
        done(self.operations.resume(call(caller, &id)?, &Nothing {}).await)
    }

    async fn signal_run(&self, request: Request<v1::SignalRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, v1::SignalRunRequest { id, name, data }) = Caller::of(request)?;
        let fields = [("name", Some(json!(name))), ("data", forms::json(data)?)];
        let body: Signal = body(fields)?;
        done(self.operations.signal(call(caller, &id)?, &body).await)
    }

    async fn approve_run(
        &self,
        request: Request<v1::ApproveRunRequest>,
    ) -> Result<Response<v1::Run>, Status> {
        let (caller, message) = Caller::of(request)?;
        let v1::ApproveRunRequest { id, node, approved, generation, iteration, comment, args_hash } = message;
        let body = Approve { node, generation, iteration, approved, comment, args_hash };
        done(self.operations.approve(call(caller, &id)?, &body).await)
    }

    async fn rerun_run(&self, request: Request<v1::RerunRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, v1::RerunRunRequest { id, from, input }) = Caller::of(request)?;
        let body: Rerun = body([("from", Some(json!(from))), ("input", forms::json(input)?)])?;
        done(self.operations.rerun(call(caller, &id)?, &body).await)
    }
}

fn call(caller: Caller, id: &str) -> Result<Call, Status> {
    let run = caller.run(id)?;
    let Caller { principal, trace, key } = caller;
    Ok(Call { principal, trace, run, key })
}

/// Makes the body of an operation of what is given, with the checks that every body has.
fn body<T: operations::Request>(fields: [(&str, Option<Value>); 2]) -> Result<T, Status> {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    operations::read(Some(Value::Object(given.collect::<Map<_, _>>()))).map_err(refused)
}

/// An operation answers with the run.
fn done(run: Result<RunView, Refusal>) -> Result<Response<v1::Run>, Status> {
    let run = run.map_err(refused)?;
    let (again, id) = (run.replayed, run.id.to_string());
    named(answer(shown::run(run), again), &id)
}
