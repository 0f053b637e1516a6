// Follows one run with the unmodified AG-UI client and says what it made of it.
// Argument (JSON): url, token, thread, run. Output: one JSON object.
import { HttpAgent } from "@ag-ui/client";

const { url, token, thread, run } = JSON.parse(process.argv[2]);
const agent = new HttpAgent({
  url,
  threadId: thread,
  headers: { Authorization: `Bearer ${token}` },
});
const events = [];
const said = { events, failed: null };
try {
  const { result, newMessages } = await agent.runAgent(
    { runId: run },
    {
      onEvent: ({ event }) => {
        events.push(event);
        process.stderr.write(`${event.type}\n`);
      },
    },
  );
  Object.assign(said, { result, newMessages });
} catch (error) {
  said.failed = String(error.message ?? error);
}
console.log(JSON.stringify(said));
