// Tests the stock Socket.IO clients of all supported versions against the server, over each transport.

import { Line, expect, test as base, type Baro } from "./baro";
import { Inbox, TRANSPORTS, VERSIONS, ask, heard, io, isOld, type Client, type Version } from "./socket-io";

type Open = (version: Version, path: string, options?: object) => Client;

/** Adds `open`, whose clients are closed at the end of the test. */
const test = base.extend<{ open: Open }>({
  open: async ({ baro }, use) => {
    const clients: Client[] = [];
    await use((version, path, options = {}) => {
      const url = path.startsWith("http") ? path : baro.url + path;
      const client = io(version)(url, { forceNew: true, ...options });
      clients.push(client);
      return client;
    });
    clients.forEach((client) => client.disconnect());
  },
});

for (const version of VERSIONS) {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test.describe(`socket.io-client ${version} by ${name}`, () => {
      test("text, JSON and binary, acknowledged and in the form they have everywhere", async ({ baro, open }) => {
        const client = open(version, "/c/demo", { transports });
        const inbox = new Inbox(client);
        await heard(client, "connect");
        const bodies = ["hello 온실 🎋", { a: [1, { b: null }], "한": "글" }, 42, "", Buffer.from([0, 1, 2, 255])];
        const acks = [];
        for (const body of bodies) acks.push(await ask(client, "message", body));
        await inbox.has(bodies.length);
        expect(inbox.bodies).toEqual([...bodies.slice(0, 4), "AAEC/w=="]);
        expect(inbox.ids).toEqual(acks.map((ack) => ack.id));
        expect(acks[0]).toMatchObject({ channel: "demo", duplicate: false, time: inbox.messages[0]!.time });
        expect(inbox.messages).toEqual(await baro.all("demo"));
        expect(client.io.engine.transport.name).toBe(transports.at(-1));
      });

      test("a thousand quick messages stay in order, and 64 KiB come whole", async ({ open, baro }) => {
        const client = open(version, "/c/quick", { transports });
        const inbox = new Inbox(client);
        await heard(client, "connect");
        for (let n = 0; n < 1000; n++) client.send(n);
        const large = "가나다 ".repeat(6554);
        client.send(large);
        client.send(Buffer.alloc(65_536, 7));
        await inbox.has(1002);
        expect(inbox.bodies.slice(0, 1000)).toEqual([...Array(1000).keys()]);
        expect(inbox.bodies[1000]).toBe(large);
        expect(inbox.bodies[1001]).toBe(Buffer.alloc(65_536, 7).toString("base64"));
        expect(inbox.messages).toEqual(await baro.all("quick"));
      });

      test("comes back after its line was cut, and goes on exactly there", async ({ open, baro }) => {
        const line = new Line(baro.url);
        await line.open();
        const client = open(version, `${line.url}/c/resume`, { transports, reconnectionDelay: 50, reconnectionDelayMax: 50 });
        const inbox = new Inbox(client);
        // Older clients must send their position at each reconnect. From 4.6 on the client does this by itself.
        if (isOld(version)) client.on("reconnecting", () => (client as any).query = last(inbox));
        if (version === "3") client.on("disconnect", () => ((client as any).auth = { after: inbox.ids.at(-1) }));
        await heard(client, "connect");
        for (let n = 0; n < 3; n++) await ask(client, "message", `before ${n}`);
        await inbox.has(3);
        line.cut();
        for (let n = 0; n < 200; n++) await baro.say("resume", `while away ${n}`);
        line.mend();
        await inbox.has(203);
        await ask(client, "message", "after");
        await inbox.has(204);
        expect(inbox.messages).toEqual(await baro.all("resume"));
        line.close();
      });

      test("begins with history when it asks for it", async ({ open, baro }) => {
        for (const body of ["a", "b", "c"]) await baro.say("history", body);
        const client = isOld(version)
          ? open(version, "/c/history?last=2", { transports })
          : open(version, "/c/history", { transports, auth: { last: 2 } });
        const inbox = new Inbox(client);
        await inbox.has(2);
        expect(inbox.bodies).toEqual(["b", "c"]);
      });

      test("a namespace that is no channel is refused", async ({ open }) => {
        for (const [path, message] of [["/chat", "Invalid namespace"], ["/c/.x", "Invalid namespace"]] as const) {
          const client = open(version, path, { transports });
          const error = await heard(client, isOld(version) ? "error" : "connect_error");
          expect(isOld(version) ? error : error.message).toBe(message);
          if (!isOld(version)) expect(error.data.message).toBeTruthy();
        }
      });

      test("the default namespace publishes and subscribes", async ({ open, baro }) => {
        await baro.say("one", "old");
        const client = open(version, "/", { transports });
        const inbox = new Inbox(client);
        await heard(client, "connect");
        expect(await ask(client, "subscribe", ["one", "온실"], { last: 1 })).toHaveProperty("cursor");
        await inbox.has(1);
        expect(await ask(client, "publish", "온실", { n: 1 }, { key: "k1" })).toMatchObject({ channel: "온실", duplicate: false });
        expect(await ask(client, "publish", "온실", { n: 1 }, { key: "k1" })).toMatchObject({ duplicate: true });
        await baro.say("one", "new");
        await baro.say("other", "not heard");
        await ask(client, "publish", "one", "last");
        await inbox.has(4);
        expect(inbox.bodies).toEqual(["old", { n: 1 }, "new", "last"]);
        expect(await ask(client, "subscribe", "other")).toHaveProperty("cursor");
        await baro.say("one", "not heard any more");
        await baro.say("other", "heard");
        await inbox.has(5);
        expect(inbox.bodies.at(-1)).toBe("heard");
      });

      test("what is wrong is said, and nothing is lost by it", async ({ open }) => {
        const client = open(version, "/c/wrong", { transports });
        const inbox = new Inbox(client);
        await heard(client, "connect");
        const code = async (event: string, ...all: unknown[]) => (await ask(client, event, ...all)).error?.code;
        expect(await code("message")).toBe("bad-body");
        expect(await code("message", { nested: Buffer.from([1]) })).toBe("bad-body");
        expect(await code("message", "x", "no options")).toBe("bad-frame");
        expect(await code("message", "x", { key: "" })).toBe("bad-key");
        expect(await code("dance", "x")).toBe("bad-frame");
        expect(await code("message", "y".repeat(1_100_000))).toBe("too-large");
        const said = new Promise((resolve) => client.on(isOld(version) ? "error" : "error", resolve));
        client.emit("dance");
        expect(await said).toMatchObject({ type: "error", code: "bad-frame" });
        await ask(client, "message", "fine");
        await inbox.has(1);
        expect(inbox.bodies).toEqual(["fine"]);
      });
    });
  }
}

function last(inbox: Inbox) {
  return `after=${inbox.ids.at(-1)}`;
}

test("a namespace is a channel's path, as it is or percent-encoded", async ({ baro, open }) => {
  for (const version of VERSIONS) {
    for (const path of ["/c/온실-3동", "/c/%EC%98%A8%EC%8B%A4-3%EB%8F%99"]) {
      const client = open(version, path);
      const inbox = new Inbox(client);
      await heard(client, "connect");
      const { id } = await ask(client, "message", version);
      await inbox.has(1);
      expect(inbox.messages[0]).toMatchObject({ id, channel: "온실-3동", body: version });
    }
  }
  expect((await baro.all("온실-3동")).length).toBe(8);
});

test("with a visitor's cookie it is a person who speaks, else a program", async ({ baro, open }) => {
  const page = await fetch(baro.channel("who"), { headers: { accept: "text/html" } });
  const cookie = page.headers.get("set-cookie")!.split(";")[0]!;
  for (const transports of Object.values(TRANSPORTS)) {
    const person = open("4", "/c/who", { transports, extraHeaders: { cookie } });
    await heard(person, "connect");
    await ask(person, "message", "from a person");
    const program = open("4", "/c/who", { transports, auth: { from: "esp32" } });
    await heard(program, "connect");
    await ask(program, "message", "from a program");
  }
  const from = (await baro.all("who")).map((message) => message.from);
  expect(from.map((sender) => sender.kind)).toEqual(["person", "program", "person", "program", "person", "program"]);
  expect(from[1]!.name).toBe("esp32");
});

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  test(`what was said before leaving is stored, by ${name}`, async ({ baro, open }) => {
    const client = open("4", "/c/leaving", { transports });
    await heard(client, "connect");
    for (let n = 0; n < 300; n++) client.emit("message", n);
    client.disconnect();
    await expect.poll(async () => (await baro.all("leaving")).length).toBe(300);
    expect((await baro.all("leaving")).map((message) => message.body)).toEqual([...Array(300).keys()]);
  });
}

test("who leaves and comes back on one connection hears nothing twice", async ({ baro, open }) => {
  const other = open("4", "/c/other", { forceNew: false });
  const client = open("4", "/c/again", { forceNew: false });
  const inbox = new Inbox(client);
  await Promise.all([heard(other, "connect"), heard(client, "connect")]);
  for (let round = 0; round < 20; round++) {
    for (let n = 0; n < 30; n++) client.emit("message", { round, n });
    client.disconnect();
    client.connect();
    await heard(client, "connect");
  }
  await expect.poll(async () => (await baro.all("again")).length).toBe(600);
  await ask(client, "message", "last");
  await expect.poll(() => inbox.bodies.at(-1)).toBe("last");
  expect(new Set(inbox.ids).size).toBe(inbox.ids.length);
  // A client that disconnects before it has joined can still join afterwards.
  client.disconnect();
  client.connect();
  client.disconnect();
  await new Promise((resolve) => setImmediate(resolve));
  client.connect();
  await heard(client, "connect");
  await ask(client, "message", "in again");
});

test.describe("a small limit", () => {
  test.use({ flags: ["--no-machine-channel", "--max-message", "1000"] });

  test("loses nothing when the session goes over to a WebSocket", async ({ baro, open }) => {
    for (let n = 0; n < 200; n++) await baro.say("small", `${n} ${"x".repeat(900)}`);
    for (let round = 0; round < 15; round++) {
      const client = open("4", "/c/small", { auth: { last: 200 } });
      const inbox = new Inbox(client);
      await inbox.has(200);
      expect(inbox.bodies.map((body) => parseInt(String(body), 10))).toEqual([...Array(200).keys()]);
    }
  });
});

test("presence and typing are events", async ({ baro, open }) => {
  const one = open("4", "/c/people", { auth: { from: "one" } });
  await heard(one, "connect");
  const came = new Promise<any>((resolve) =>
    one.on("presence", (presence) => presence.joined?.some((who: any) => who.name === "two") && resolve(presence)),
  );
  const two = open("2.3", "/c/people?from=two");
  await heard(two, "connect");
  expect(await came).toMatchObject({ type: "presence", channel: "people", programs: 2 });
  const typing = heard(one, "typing");
  two.emit("typing");
  expect(await typing).toMatchObject({ type: "typing", who: [{ name: "two" }] });
  const answer = await (await fetch(`${baro.url}/c/people`)).json();
  expect(answer.messages).toEqual([]);
});

test("one connection carries several channels", async ({ baro, open }) => {
  const one = open("4", "/c/one", { forceNew: false });
  const two = open("4", "/c/two", { forceNew: false });
  const inboxes = [new Inbox(one), new Inbox(two)] as const;
  await Promise.all([heard(one, "connect"), heard(two, "connect")]);
  expect((one.io as unknown)).toBe(two.io);
  await baro.say("one", "1");
  await baro.say("two", "2");
  await Promise.all(inboxes.map((inbox) => inbox.has(1)));
  expect(inboxes.map((inbox) => inbox.bodies)).toEqual([[1], [2]]);
  one.disconnect();
  await ask(two, "message", "still here");
});

test.describe("connection state recovery", () => {
  const quick = { reconnectionDelay: 50, reconnectionDelayMax: 100, randomizationFactor: 0 };

  test("a stock client recovers after a restart of the server, with the same id", async ({ baro, open }) => {
    const client = open("4", "/c/state", quick);
    const inbox = new Inbox(client);
    await heard(client, "connect");
    const id = client.id;
    await ask(client, "message", "before");
    await inbox.has(1);
    const reason = heard(client, "disconnect");
    await baro.kill("SIGTERM");
    expect(await reason).not.toBe("io server disconnect");
    await baro.start();
    await baro.say("state", "while it was away");
    await inbox.has(2);
    expect([client.recovered, client.id]).toEqual([true, id]);
    expect(inbox.messages).toEqual(await baro.all("state"));
  });

  test("also when nothing had come yet", async ({ baro, open }) => {
    const client = open("4", "/c/state", quick);
    const inbox = new Inbox(client);
    await heard(client, "connect");
    await baro.kill();
    await baro.start();
    await baro.say("state", "the first");
    await inbox.has(1);
    expect(client.recovered).toBe(true);
    expect(inbox.bodies).toEqual(["the first"]);
  });

  test("the default namespace gets its channels back", async ({ baro, open }) => {
    const client = open("4", "/", quick);
    const inbox = new Inbox(client);
    await heard(client, "connect");
    await ask(client, "subscribe", ["a", "온실"]);
    await ask(client, "publish", "a", "before");
    await inbox.has(1);
    await baro.kill();
    await baro.start();
    await baro.say("온실", "while it was away");
    await inbox.has(2);
    expect(client.recovered).toBe(true);
    expect(inbox.bodies).toEqual(["before", "while it was away"]);
  });

  test("is not claimed where the channels are too many to be carried along", async ({ open, baro }) => {
    const client = open("4", "/", quick);
    const inbox = new Inbox(client);
    await heard(client, "connect");
    await ask(client, "subscribe", "aaa");
    await ask(client, "publish", "aaa", "before");
    await inbox.has(1);
    await ask(client, "subscribe", [...Array(9).keys()].map((n) => `${n}${"x".repeat(40)}`), null);
    const back = heard(client, "disconnect").then(() => heard(client, "connect"));
    await baro.kill();
    await baro.start();
    await back;
    expect(client.recovered).toBe(false);
  });

  test.describe("when not all is kept", () => {
    test.use({ flags: ["--no-machine-channel", "--keep-messages", "10"] });

    test("is not recovered, and told what is gone", async ({ baro, open }) => {
      const client = open("4", "/c/state", { ...quick, reconnection: false });
      const inbox = new Inbox(client);
      await heard(client, "connect");
      await ask(client, "message", "before");
      await inbox.has(1);
      const id = client.id;
      client.io.engine.close();
      for (let n = 0; n < 40; n++) await baro.say("state", `message ${n}`);
      await expect.poll(async () => (await baro.all("state")).length).toBeLessThan(40);
      const missed = heard(client, "missed");
      client.connect();
      expect(await missed).toMatchObject({ type: "missed", channel: "state", reason: "trimmed" });
      expect(client.recovered).toBe(false);
      expect(client.id).not.toBe(id);
      await inbox.has(11);
      expect(inbox.bodies.at(-1)).toBe("message 39");
    });
  });
});

test.describe("elsewhere", () => {
  test.use({ flags: ["--no-machine-channel", "--socketio-path", "/chat/io"] });

  test("the path is the client's option", async ({ open, baro }) => {
    for (const version of VERSIONS) {
      const client = open(version, "/c/path", { path: "/chat/io" });
      await heard(client, "connect");
      await ask(client, "message", version);
    }
    expect((await baro.all("path")).map((message) => message.body)).toEqual([2.3, 2.5, 3, 4].map((n) => String(n)));
    expect((await fetch(`${baro.url}/socket.io/?EIO=4&transport=polling`)).status).toBe(404);
  });
});

test("a client that does not read falls back to the log", async ({ baro, open }) => {
  const client = open("4", "/c/slow", { transports: ["websocket"] });
  const inbox = new Inbox(client);
  await heard(client, "connect");
  const socket = (client.io.engine.transport as any).ws._socket;
  socket.pause();
  const body = "x".repeat(20_000);
  for (let n = 0; n < 400; n++) await baro.say("slow", `${n} ${body}`);
  socket.resume();
  await inbox.has(400);
  expect(inbox.ids).toEqual((await baro.all("slow")).map((message) => message.id));
});

test.describe("origins", () => {
  test.use({ flags: ["--no-machine-channel", "--allow-origin", "https://app.example"] });

  test("foreign pages are refused in every method, allowed ones get their headers", async ({ baro }: { baro: Baro }) => {
    const at = `${baro.url}/socket.io/?EIO=4&transport=polling`;
    const status = async (origin: string) => (await fetch(at, { headers: { origin } })).status;
    expect(await status("https://evil.example")).toBe(403);
    expect(await status(baro.url)).toBe(200);
    const allowed = await fetch(at, { headers: { origin: "https://app.example" } });
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(allowed.headers.get("access-control-allow-credentials")).toBe("true");
  });
});
