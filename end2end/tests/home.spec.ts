// Tests the home page, the language and time zone of pages, and a page whose WASM cannot be loaded.

import { expect, openLive, test } from "./baro";

test.describe("a fresh server", () => {
  test.use({ flags: [] });

  test("has one channel that is alive, with a chart", async ({ baro, page }) => {
    await page.goto(baro.url);
    const row = page.getByRole("link", { name: /this-machine/ }).first();
    await expect(row).toBeVisible();
    await row.click();
    await expect(page).toHaveURL(/\/c\/this-machine$/);
    await openLive(page, page.url());
    await expect(page.locator("figure").first()).toBeVisible();
    const count = await page.locator(".feed [data-id]").count();
    await expect.poll(() => page.locator(".feed [data-id]").count()).toBeGreaterThan(count + 1);
    const summary = await page.locator("figure").first().innerText();
    await expect.poll(() => page.locator("figure").first().innerText()).not.toBe(summary);
  });
});

test("typing a name opens the channel; the list follows what is published", async ({ baro, page }) => {
  await page.goto(baro.url);
  await expect(page.locator("html[data-hydrated]")).toBeAttached();
  await baro.say("deploy", "web 2.14.1 in production");
  await expect(page.getByRole("link", { name: /deploy/ })).toBeVisible();
  await page.locator("#open-name").fill("온실-3동");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(baro.channel("온실-3동"));
});

test("Korean by Accept-Language, English by choice", async ({ baro, browser, complaints }) => {
  const context = await browser.newContext({ locale: "ko-KR" });
  const page = await context.newPage();
  complaints.listen(page);
  await openLive(page, baro.channel("demo"));
  await expect(page.locator("html")).toHaveAttribute("lang", "ko");
  await expect(page.getByText("Enter로 보내기", { exact: false })).toBeVisible();
  await context.addCookies([{ name: "lang", value: "en", url: baro.url }]);
  await openLive(page, baro.channel("demo"));
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
});

test("times are the reader's own, on the first visit too", async ({ baro, page }) => {
  await baro.say("demo", "hello");
  await openLive(page, baro.channel("demo"));
  const row = page.locator(".feed [data-id]");
  const sent = new Date((await row.locator("time").getAttribute("datetime"))!);
  // playwright.config.ts sets the browser's time zone to Seoul.
  const expected = sent.toLocaleTimeString("en-GB", { timeZone: "Asia/Seoul" });
  await expect(row.locator("time")).toHaveText(expected);
});

test("when the WASM cannot be loaded the page says so and works as without script", async ({ baro, page, complaints }) => {
  complaints.cut = true;
  await page.route("**/pkg/baro.wasm", (route) => route.abort());
  await page.goto(baro.channel("demo"));
  await expect(page.locator("#not-live")).toBeVisible();
  await page.locator("textarea[name=body]").fill("still works");
  await page.locator(".composer button.send").click();
  await expect(page.locator(".feed [data-id] .body")).toHaveText(["still works"]);
});
