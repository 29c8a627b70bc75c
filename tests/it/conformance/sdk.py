"""Drives a sidecar with the unmodified Dapr client of PyPI and prints what came of it as one line of JSON.

The argument names the actor to call: {"type", "id", "method", "body"}, and, if there is one, an application
{"app_id", "path"}. Addresses come from Dapr's own environment variables, as for any program.
"""

import asyncio
import json
import sys
import threading

from dapr.actor import ActorId, ActorProxy
from dapr.clients import DaprClient
from dapr.clients.exceptions import DaprGrpcError
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._response import TopicEventResponse
from dapr.clients.grpc._state import Concurrency, StateOptions

STORE = "statestore"


def state(client):
    seen = {}
    client.save_state(STORE, "py", "one")
    first = client.get_state(STORE, "py")
    seen["value"], seen["etag"] = first.text(), first.etag
    fence = StateOptions(concurrency=Concurrency.first_write)
    client.save_state(STORE, "py", "two", etag=first.etag, options=fence)
    try:
        client.save_state(STORE, "py", "three", etag=first.etag, options=fence)
        seen["stale"] = "saved"
    except DaprGrpcError as error:
        seen["stale"] = error.code().name
    client.execute_state_transaction(
        STORE,
        [
            TransactionalStateOperation(key="py-a", data="a"),
            TransactionalStateOperation(key="py", operation_type=TransactionOperationType.delete),
        ],
    )
    found = client.get_bulk_state(STORE, ["py", "py-a"]).items
    seen["bulk"] = {item.key: item.data.decode() for item in found}
    client.delete_state(STORE, "py-a")
    seen["deleted"] = client.get_state(STORE, "py-a").text()
    return seen


def pubsub(client):
    seen = {}
    # By hand: take a message, answer it.
    subscription = client.subscribe("pubsub", "py-pulled")
    client.publish_event("pubsub", "py-pulled", json.dumps({"n": 1}), data_content_type="application/json")
    message = subscription.next_message()
    seen["pulled"] = {"data": message.data(), "type": message.type(), "topic": message.topic()}
    subscription.respond_success(message)
    subscription.close()
    # By a handler, which asks for the first message once more.
    handled, done = [], threading.Event()

    def handler(message):
        handled.append(message.data())
        if len(handled) == 1:
            return TopicEventResponse("retry")
        done.set()
        return TopicEventResponse("success")

    close = client.subscribe_with_handler("pubsub", "py-pushed", handler)
    client.publish_event("pubsub", "py-pushed", "text", data_content_type="text/plain")
    seen["in time"] = done.wait(20)
    close()
    seen["handled"] = handled
    return seen


async def actor(wanted):
    proxy = ActorProxy.create(wanted["type"], ActorId(wanted["id"]))
    return json.loads(await proxy.invoke_method(wanted["method"], json.dumps(wanted["body"]).encode()))


def main():
    wanted = json.loads(sys.argv[1])
    with DaprClient() as client:
        client.wait(10)
        seen = {"state": state(client), "pubsub": pubsub(client)}
        seen["id"] = client.get_metadata().application_id
        if "app" in wanted:
            app = wanted["app"]
            answer = client.invoke_method(app["app_id"], app["path"], data="ping", http_verb="POST")
            seen["app"] = answer.text()
    seen["actor"] = asyncio.run(actor(wanted["actor"]))
    print(json.dumps(seen))


main()
