// Tests a channel page: talking, presence, reconnects, fallback to SSE, refused messages and history.

import { expect, ids, Line, live, openLive, test, type } from "./baro";

test("two browsers talk, and curl joins", async ({ baro, browser, complaints }) => {
  const [one, two] = await Promise.all(
    [0, 1].map(async () => {
      const page = await (await browser.newContext()).newPage();
      complaints.listen(page);
      await openLive(page, baro.channel("demo"));
      return page;
    }),
  );
  await type(one, "hello from one");
  await expect(two.locator(".feed .body")).toHaveText(["hello from one"]);
  await type(two, "hello from two");
  await expect(one.locator(".feed [data-id] .body")).toHaveText(["hello from one", "hello from two"]);
  await baro.say("demo", "hello from curl");
  for (const page of [one, two]) {
    await expect(page.locator(".feed [data-id] .body")).toHaveText(["hello from one", "hello from two", "hello from curl"]);
  }
  expect(await ids(one)).toEqual((await baro.all("demo")).map((message) => message.id));
  expect((await baro.all("demo")).map((message) => message.from.kind)).toEqual(["person", "person", "program"]);
});

test("a Korean name works everywhere", async ({ baro, page }) => {
  await baro.say("온실-3동", '{"temp":24.8}');
  await openLive(page, baro.channel("온실-3동"));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("온실-3동");
  await type(page, "습도는 65% 위로 올라가면 알려 주세요.");
  await expect(page.locator(".feed [data-id]")).toHaveCount(2);
  expect((await baro.all("온실-3동")).map((message) => message.body)).toEqual([
    { temp: 24.8 },
    "습도는 65% 위로 올라가면 알려 주세요.",
  ]);
});

test("Enter that ends a Hangul composition sends nothing", async ({ baro, page }) => {
  await openLive(page, baro.channel("demo"));
  const composer = page.locator("textarea[name=body]");
  await composer.fill("안녕");
  await composer.dispatchEvent("keydown", { key: "Enter", isComposing: true, keyCode: 229 });
  await expect(composer).toHaveValue("안녕");
  await composer.press("Shift+Enter");
  await composer.pressSequentially("바로");
  await composer.press("Enter");
  await expect(page.locator(".feed [data-id] .body")).toHaveText(["안녕\n바로"]);
  expect((await baro.all("demo")).map((message) => message.body)).toEqual(["안녕\n바로"]);
});

test("a killed server: everything acknowledged is there, both pages show exactly what they missed", async ({ baro, page, browser, complaints }) => {
  const other = await (await browser.newContext()).newPage();
  complaints.listen(other);
  const pages = [page, other];
  for (const one of pages) await openLive(one, baro.channel("demo"));
  await type(page, "before");
  for (const one of pages) await expect(one.locator(".feed [data-id]")).toHaveCount(1);
  await expect(page.locator("[data-state]")).toHaveCount(0);
  complaints.cut = true;
  await baro.kill();
  for (const one of pages) await expect(one.locator(".pill")).not.toHaveAttribute("data-link", "live");
  await type(page, "while away");
  await expect(page.locator("[data-state=waiting], [data-state=sending]")).toHaveCount(1);
  await baro.start();
  await baro.say("demo", "missed one");
  for (const one of pages) {
    await live(one, /^(websocket|sse)$/);
    await expect(one.locator(".feed [data-id]")).toHaveCount(3);
  }
  await expect(page.locator("[data-state]")).toHaveCount(0);
  const stored = await baro.all("demo");
  for (const one of pages) expect(await ids(one)).toEqual(stored.map((message) => message.id));
  expect(stored.map((message) => message.body).sort()).toEqual(["before", "missed one", "while away"]);
});

test("a cut line: the page comes back by itself and a message sent meanwhile is stored once", async ({ baro, page, complaints }) => {
  const line = new Line(baro.url);
  await line.open();
  await openLive(page, `${line.url}/c/demo`);
  complaints.cut = true;
  for (let round = 0; round < 3; round++) {
    line.cut();
    await type(page, `sent ${round}`);
    await baro.say("demo", `missed ${round}`);
    line.mend();
    await live(page, /^(websocket|sse)$/);
    await expect(page.locator(".feed [data-id]")).toHaveCount(2 * round + 2);
  }
  expect(await ids(page)).toEqual((await baro.all("demo")).map((message) => message.id));
  expect(new Set((await baro.all("demo")).map((message) => message.body)).size).toBe(6);
  line.close();
});

test("WebSocket refused: the page goes on over EventSource and sends by POST", async ({ baro, page, complaints }) => {
  complaints.cut = true;
  const line = new Line(baro.url);
  line.refuseWebSocket = true;
  await line.open();
  await openLive(page, `${line.url}/c/demo`, "sse");
  await expect(page.locator(".pill")).toContainText("SSE");
  await baro.say("demo", "over the stream");
  await expect(page.locator(".feed [data-id] .body")).toHaveText(["over the stream"]);
  const post = page.waitForRequest((request) => request.method() === "POST");
  await type(page, "by request");
  expect((await post).headers()["idempotency-key"]).toBeTruthy();
  await expect(page.locator(".feed [data-id] .body")).toHaveText(["over the stream", "by request"]);
  expect((await baro.all("demo")).map((message) => message.from.kind)).toEqual(["program", "person"]);
  line.close();
});

test("what the server refuses says so, can be sent again, and never doubles", async ({ baro, page, complaints }) => {
  complaints.cut = true;
  const line = new Line(baro.url);
  line.refuseWebSocket = true;
  await line.open();
  await openLive(page, `${line.url}/c/demo`, "sse");
  let mood: "refuse" | "lose the answer" | "obey" = "refuse";
  await page.route("**/c/demo", async (route) => {
    if (route.request().method() !== "POST" || mood === "obey") return route.continue();
    if (mood === "refuse") {
      return route.fulfill({ status: 400, json: { error: { code: "bad-body", message: "refused by the test" } } });
    }
    // The server stores the message but the page gets no answer: the case in which a retry could store it twice.
    mood = "obey";
    await route.fetch();
    await route.abort();
  });
  await type(page, "once");
  const failed = page.locator("[data-state=failed]");
  await expect(failed).toContainText("refused by the test");
  mood = "lose the answer";
  await failed.getByRole("button", { name: "Send again" }).click();
  await expect(page.locator("[data-state]")).toHaveCount(0);
  await expect(page.locator(".feed [data-id] .body")).toHaveText(["once"]);
  expect((await baro.all("demo")).length).toBe(1);
  line.close();
});

test("the page continues exactly where the server's rendering ended, at 200 messages a second", async ({ baro, page }) => {
  let publishing = true;
  const publisher = (async () => {
    for (let n = 0; publishing && n < 2000; ) {
      await Promise.all(Array.from({ length: 4 }, () => baro.say("busy", `n${n++}`)));
      await new Promise((next) => setTimeout(next, 20));
    }
  })();
  await expect.poll(async () => (await baro.all("busy")).length).toBeGreaterThan(20);
  await page.goto(baro.channel("busy"));
  const first = (await page.locator(".feed [data-id]").first().getAttribute("data-id"))!;
  await live(page);
  // Let 100 messages arrive live, then stop and wait until the page shows the last message.
  const enough = (await baro.all("busy")).length + 100;
  await expect.poll(async () => (await baro.all("busy")).length).toBeGreaterThan(enough);
  publishing = false;
  await publisher;
  const stored = (await baro.all("busy")).map((message) => message.id);
  await expect.poll(async () => (await ids(page)).at(-1)).toBe(stored.at(-1));
  const shown = await ids(page);
  expect(shown).toEqual(stored.slice(-shown.length));
  // The first rendered message is still there, unless the maximum of 400 rows pushed it out.
  expect(shown.length === 400 || shown.includes(first)).toBe(true);
});

test("JSON is checked while it is typed and sent as JSON", async ({ baro, page }) => {
  await openLive(page, baro.channel("demo"));
  await page.getByText("JSON", { exact: true }).click();
  await page.locator("textarea[name=body]").fill('{ "temp": 24.8, "hum": }');
  await expect(page.locator(".composer")).toContainText(/line 1/i);
  await page.locator("textarea[name=body]").fill('{ "temp": 24.8 }');
  await page.keyboard.press("Enter");
  await expect(page.locator(".feed [data-id]")).toHaveCount(1);
  expect((await baro.all("demo"))[0].body).toEqual({ temp: 24.8 });
});

test("a page deep in history stands still and leads back to now", async ({ baro, page }) => {
  for (let n = 0; n < 500; n++) await baro.say("long", `n${n}`);
  const stored = await baro.all("long");
  await page.goto(`${baro.channel("long")}?at=${stored[100].id}`);
  await expect(page.locator("html[data-hydrated]")).toBeAttached();
  await expect(page.locator(`[data-id="${stored[100].id}"]`)).toBeVisible();
  await expect(page.locator(".pill")).toHaveAttribute("data-link", "snapshot");
  await page.locator("textarea[name=body]").fill("an answer");
  await page.locator(".composer button.send").click();
  await expect(page).toHaveURL(baro.channel("long"));
  await live(page);
  await expect(page.locator(".feed [data-id] .body").last()).toHaveText("an answer");
});

test("who is there and who writes is seen, and gone when they are", async ({ baro, page, browser, complaints }) => {
  await openLive(page, baro.channel("demo"));
  const people = page.locator(".people li");
  await expect(people).toHaveCount(1);
  const context = await browser.newContext();
  const other = await context.newPage();
  complaints.listen(other);
  await openLive(other, baro.channel("demo"));
  await expect(page.locator(".people-head")).toContainText("2 people, 0 programs");
  await expect(people).toHaveCount(2);
  await other.locator("textarea[name=body]").pressSequentially("ab");
  await expect(page.locator(".now-row .typing")).toContainText("is writing");
  await expect(other.locator(".now-row .typing")).toBeEmpty();
  await other.locator("textarea[name=body]").press("Enter");
  await expect(page.locator(".now-row .typing")).toBeEmpty();
  await context.close();
  await expect(people).toHaveCount(1, { timeout: 15_000 });
});

test("a name that was saved is told once, and in the reader's language", async ({ baro, page, context }) => {
  await context.addCookies([{ name: "lang", value: "ko", url: baro.url }]);
  await openLive(page, baro.channel("demo"));
  await page.locator("details.me summary").click();
  await page.locator("#own-name").fill("미나");
  await page.locator("#own-name").press("Enter");
  await expect(page.locator(".notice")).toHaveText("저장했어요. 이제 이름은 ‘미나’입니다.");
  await live(page);
  await expect(page.locator(".notice")).toBeVisible();
  await type(page, "이제 미나");
  await expect.poll(async () => (await baro.all("demo")).map((message) => message.from.name)).toEqual(["미나"]);
  // All of the page is in the window, the composer's end as well.
  expect(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight)).toBe(true);
  await page.reload();
  await live(page);
  await expect(page.locator(".notice")).toHaveCount(0);
});
