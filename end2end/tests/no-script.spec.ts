// Tests that the pages work without JavaScript.

import { expect, test } from "./baro";

test("without script the page is complete and the composer sends", async ({ baro, page }) => {
  await baro.say("온실-3동", "already here");
  await page.goto(baro.channel("온실-3동"));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("온실-3동");
  await expect(page.locator(".feed [data-id] .body")).toHaveText(["already here"]);
  await page.locator("textarea[name=body]").fill("sent without script");
  await page.locator(".composer button.send").click();
  await expect(page).toHaveURL(baro.channel("온실-3동"));
  await expect(page.locator(".feed [data-id] .body")).toHaveText(["already here", "sent without script"]);
  const stored = await baro.all("온실-3동");
  expect(stored.map((message) => [message.body, message.from.kind])).toEqual([
    ["already here", "program"],
    ["sent without script", "person"],
  ]);
});

test("without script a name opens a channel, and a name that is none is explained", async ({ baro, page, complaints }) => {
  await page.goto(baro.url);
  await page.locator("#open-name").fill("demo");
  await page.locator("#open-name").press("Enter");
  await expect(page).toHaveURL(baro.channel("demo"));
  // The answer is a page with status 400, which the browser logs as an error.
  complaints.cut = true;
  await page.goto(`${baro.url}/open?name=a%2Fb`);
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.locator("main")).toContainText(/letters, digits/);
});

test("without script the page says once what a form came to", async ({ baro, page }) => {
  await page.goto(baro.channel("demo"));
  await page.locator("details.me summary").click();
  await page.locator("#own-name").fill("Mina");
  await page.locator("#own-name").press("Enter");
  await expect(page.getByRole("status").filter({ hasText: "Saved: you are Mina now." })).toBeVisible();
  await page.locator("textarea[name=body]").fill("   ");
  await page.locator(".composer button.send").click();
  await expect(page).toHaveURL(baro.channel("demo"));
  await expect(page.getByRole("alert").filter({ hasText: "Not sent." })).toBeVisible();
  await expect(page.locator(".notice")).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole("alert").filter({ hasText: "Not sent." })).toHaveCount(0);
});
