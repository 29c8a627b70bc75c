import { Stack } from '@mantine/core';
import { Value } from '../common/Value';

/** How others start this workflow. */
export function HowToStart({ id }: { id: string }) {
  const at = `${location.origin}/api/v1/workflows/${id}/start`;
  const body = `{"workflow_id": "${id}", "input": {}}`;
  return (
    <Stack gap="md">
      <Value
        name="By curl"
        value={`curl -s '${at}' \\\n  -H 'content-type: application/json' \\\n  -d '{"input": {}}'`}
      />
      <Value name="By the command line" value={`callboard workflows start ${id} --input '{}' --follow`} />
      <Value
        name="As an event"
        value={`curl -s 'http://127.0.0.1:3500/v1.0/publish/pubsub/callboard.commands' \\\n  -H 'content-type: application/cloudevents+json' -d '\n  {"specversion": "1.0", "id": "UNIQUE", "source": "mine",\n   "type": "callboard.workflow.start", "data": ${body}}'`}
      />
      <Value
        name="As an actor, through any sidecar"
        value={`curl -s -X PUT http://127.0.0.1:3500/v1.0/actors/Workflow/RUN/method/start \\\n  -d '${body}'`}
      />
    </Stack>
  );
}
