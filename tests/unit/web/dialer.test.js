// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import "./globals.js";
import { Choice, Dialer } from "../../../service/web/client/dialer.js";

test("streams come after three sockets in a row without a welcome, for a minute", () => {
  const choice = new Choice("auto");
  const picked = [];
  for (let attempt = 0; attempt < 4; attempt += 1) {
    picked.push(choice.pick(attempt, false));
    if (attempt < 3) choice.failed("socket", 1006, attempt);
  }

  assert.deepEqual(picked, ["socket", "socket", "socket", "sse"]);
  assert.equal(choice.pick(61.9, false), "sse");
  assert.equal(choice.pick(62, false), "socket");
  assert.equal(choice.pick(3, true), "socket");
});

test("one retry of the socket decides for another minute", () => {
  const choice = new Choice("auto");
  for (const at of [0, 1, 2, 62]) choice.failed("socket", 1006, at);

  assert.equal(choice.pick(63, false), "sse");
  assert.equal(choice.pick(122, false), "socket");
});

test("a welcome by socket, or a refusal by the service, is no blocked network", () => {
  const choice = new Choice("auto");
  choice.failed("socket", 1006, 0);
  choice.failed("socket", 1006, 0);
  choice.failed("socket", 4401, 0);
  assert.equal(choice.pick(0, false), "socket");
  choice.welcomed("socket");
  choice.failed("socket", 1006, 0);

  assert.equal(choice.pick(0, false), "socket");
});

test("when streams fail as well, sockets and streams take turns", () => {
  const choice = new Choice("auto");
  for (let attempt = 0; attempt < 3; attempt += 1) choice.failed("socket", 1006, 0);
  const picked = [];
  for (let now = 1; now < 5; now += 1) {
    const kind = choice.pick(now, false);
    picked.push(kind);
    choice.failed(kind, 1006, now);
  }

  assert.deepEqual(picked, ["sse", "socket", "sse", "socket"]);
});

test("a transport that was chosen is kept", () => {
  for (const kind of /** @type {const} */ (["socket", "sse"])) {
    const choice = new Choice(kind);
    for (let attempt = 0; attempt < 9; attempt += 1) choice.failed(kind, 1006, attempt);

    assert.equal(choice.pick(9, false), kind);
    assert.equal(choice.pick(9, true), kind);
  }
});

test("without authorization there are only sockets", () => {
  const options = { url: "ws://test/", onEvent: () => undefined };

  assert.throws(() => new Dialer({ ...options, transport: "sse" }), /authorization/);
  assert.equal(new Dialer(options).choice.isSecondBest("sse"), false);
});
