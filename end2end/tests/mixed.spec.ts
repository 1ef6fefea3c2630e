// Tests that every kind of client in a channel receives the same messages in the same order.

import { EventSource } from "eventsource";
import WebSocket from "ws";
import { expect, openLive, test, type Message } from "./baro";
import { Inbox, heard, io } from "./socket-io";

const EACH = 2_500;
const ALL = 4 * EACH;
const ROUNDS = 50;

test("Socket.IO 2.x and 4.x, WebSocket, EventSource, long poll and a page", async ({ baro, page }) => {
  test.setTimeout(120_000);
  const at = baro.channel("mixed");
  await openLive(page, at);
  // Record every row that is added, and count the changes after which the rows are out of order.
  await page.evaluate(() => {
    const noted = ((window as any).noted = { came: new Set<string>(), disorder: 0 });
    const offset = (row: Element) => Number(row.getAttribute("data-id")!.split(".")[1]);
    new MutationObserver((changes) => {
      for (const node of changes.flatMap((change) => [...change.addedNodes])) {
        if (!(node instanceof Element)) continue;
        const rows = [node, ...node.querySelectorAll("[data-id]")].filter((row) => row.hasAttribute("data-id"));
        // A row can be added again when other rows leave, so the ids are kept in a set.
        rows.map((row) => row.getAttribute("data-id")!).forEach((id) => noted.came.add(id));
      }
      const offsets = [...document.querySelectorAll(".feed [data-id]")].map(offset);
      if (offsets.some((here, at) => at > 0 && here <= offsets[at - 1]!)) noted.disorder += 1;
    }).observe(document.querySelector(".feed")!, { childList: true, subtree: true });
  });

  const old = io("2.5")(at, { forceNew: true });
  const polling = io("2.3")(at, { forceNew: true, transports: ["polling"] });
  const current = io("4")(at, { forceNew: true });
  const socket = new WebSocket(at.replace("http", "ws"));
  const events = new EventSource(at);
  const inboxes = { old: new Inbox(old), polling: new Inbox(polling), current: new Inbox(current) };
  const bySocket: Message[] = [];
  const byEvents: Message[] = [];
  socket.on("message", (data) => bySocket.push(JSON.parse(String(data))));
  events.onmessage = (event) => byEvents.push(JSON.parse(event.data));
  await Promise.all([
    heard(old, "connect"),
    heard(polling, "connect"),
    heard(current, "connect"),
    new Promise((resolve) => socket.on("open", resolve)),
    new Promise((resolve) => events.addEventListener("cursor", resolve, { once: true })),
  ]);
  const byPolls: Message[] = [];
  let { cursor } = await (await fetch(`${at}?limit=1`)).json();
  const polls = (async () => {
    while (byPolls.length < ALL) {
      const answer = await (await fetch(`${at}?after=${cursor}&wait=20&limit=1000`)).json();
      byPolls.push(...answer.messages);
      cursor = answer.cursor;
    }
  })();

  const publishers = [
    async (n: number) => void old.emit("message", { by: "2.x", n }),
    async (n: number) => void current.emit("message", { by: "4.x", n }),
    async (n: number) => socket.send(JSON.stringify({ by: "ws", n })),
    async (n: number) => void (await baro.say("mixed", JSON.stringify({ by: "curl", n }))),
  ];
  // The page draws once per frame and never draws more rows than it keeps, so each round waits for its rows.
  for (let round = 0; round < ROUNDS; round++) {
    const numbers = [...Array(EACH / ROUNDS).keys()].map((n) => n + (round * EACH) / ROUNDS);
    await Promise.all(publishers.map(async (publish) => { for (const n of numbers) await publish(n); }));
    await page.waitForFunction((count) => (window as any).noted.came.size >= count, (ALL / ROUNDS) * (round + 1));
  }

  await polls;
  await Promise.all(Object.values(inboxes).map((inbox) => inbox.has(ALL, 60_000)));
  await expect.poll(() => [bySocket.length, byEvents.length], { timeout: 60_000 }).toEqual([ALL, ALL]);
  const stored = await baro.all("mixed");
  expect(stored.length).toBe(ALL);
  const everybody = { ...Object.fromEntries(Object.entries(inboxes).map(([name, inbox]) => [name, inbox.messages])), bySocket, byEvents, byPolls };
  for (const [name, messages] of Object.entries(everybody)) {
    expect(messages.map((message) => message.id).join() === stored.map((message) => message.id).join(), name).toBe(true);
    expect(JSON.stringify(messages) === JSON.stringify(stored), `${name}: the same messages`).toBe(true);
  }
  const [came, disorder] = await page.evaluate(() => {
    const { came, disorder } = (window as any).noted;
    return [[...came] as string[], disorder as number];
  });
  const byOffset = (a: string, b: string) => Number(a.split(".")[1]) - Number(b.split(".")[1]);
  expect(came.sort(byOffset).join() === stored.map((message) => message.id).join(), "the page: all").toBe(true);
  expect(disorder, "the page: in order, each once").toBe(0);
  // The messages of each publisher are stored in the order in which it published them.
  for (const by of ["2.x", "4.x", "ws", "curl"]) {
    const numbers = stored.map((message) => message.body as { by: string; n: number }).filter((body) => body.by === by);
    expect(numbers.every(({ n }, index) => n === index), by).toBe(true);
  }
  [old, polling, current].forEach((client) => client.disconnect());
  socket.close();
  events.close();
});
