// @ts-check
/** What operators ask of all nodes: to drain a revision, to revoke a user. */
import { el } from "../shared/dom.js";
import { counted } from "../shared/format.js";
import { confirm, numberField } from "./confirm.js";
import { showingProblems } from "./view.js";

/**
 * Ask a revision's clients to move, after the operator has agreed.
 * @param {import("./service.js").Service} service @param {Element} said where to report
 * @param {string} revision @param {() => import("./revisions.js").Revision[]} rows all of them
 */
export async function drain(service, said, revision, rows) {
  const mine = rows().find((row) => row.revision === revision);
  const alone = rows().every((row) => row.revision === revision || row.nodes === 0);
  const within = numberField("Within seconds", { value: 20, min: 1, max: 600 });
  const holds = numberField("Holds for seconds", { value: 600, min: 1, max: 86_400 });
  const agreed = await confirm({
    title: "Drain revision",
    name: revision,
    lines: [
      `${counted(mine?.sessions ?? 0, "client")} connected to it will be asked to connect elsewhere first and then leave. No event is lost. Who has not left in time is disconnected and resumes by itself.`,
      "Traffic is not changed: that is done with ops.",
      ...(alone ? ["No other revision is alive, so clients will come back to this one."] : []),
    ],
    fields: [within, holds],
    action: "Drain",
  });
  if (!agreed) return;
  await showingProblems(said, async () => {
    const answer = await service.post("/v1/drain", { revision, within_s: within.value(), for_s: holds.value() });
    said.replaceChildren(el("p", {}, `${counted(answer.sessions, "client")} asked to move.`));
  });
}

/**
 * Withdraw a user's credentials, after the operator has agreed.
 * @param {import("./service.js").Service} service @param {Element} said where to report
 * @param {string} user @param {number} sessions that are live
 */
export async function revoke(service, said, user, sessions) {
  const agreed = await confirm({
    title: "Revoke user",
    name: user,
    lines: [
      "Every token, ticket and code that this user has is refused on all nodes within 5 seconds.",
      `${counted(sessions, "live session")} will be closed for good. Stored events stay; what the user signs in with later holds again.`,
      "This cannot be taken back.",
    ],
    action: "Revoke",
    danger: true,
  });
  if (!agreed) return;
  await showingProblems(said, async () => {
    await service.post("/v1/revocations", { user });
    said.replaceChildren(el("p", {}, "Revoked. The user must sign in anew."));
  });
}
