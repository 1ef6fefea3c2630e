// Configuration of the end-to-end tests: one project with JavaScript and one without.

import { defineConfig } from "@playwright/test";

const launchOptions = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

export default defineConfig({
  testDir: "tests",
  // One worker, because a server and a browser already use the two cores of the test machine.
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: { launchOptions, locale: "en-GB", timezoneId: "Asia/Seoul", screenshot: "only-on-failure" },
  projects: [
    { name: "script", testIgnore: "**/no-script.spec.ts" },
    { name: "no-script", testMatch: "**/no-script.spec.ts", use: { javaScriptEnabled: false } },
  ],
});
