// Measures how long a channel page with 50 messages takes in Chromium until it is readable and until it is hydrated.
// It measures over loopback, and with an emulated phone: a quarter of the CPU speed, 9 Mbit/s and 150 ms latency.

import { chromium } from "@playwright/test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const TIMES = 15;
const PHONE = { slower: 4, latency: 150, downloadThroughput: (9e6 / 8) | 0, uploadThroughput: (1.5e6 / 8) | 0 };

const child = spawn("../target/release/baro", ["--listen", "127.0.0.1:0", "--engine", "memory", "--log", "off"], {
  stdio: ["ignore", "pipe", "inherit"],
});
// Stop the server however this script ends.
process.on("exit", () => child.kill());
const [line] = await once(createInterface(child.stdout), "line");
const channel = `${line.split(" ").at(-1)}/c/start`;
for (let number = 0; number < 50; number++) {
  const answer = await fetch(channel, { method: "POST", body: `message ${number} of fifty, as long as most are` });
  if (answer.status !== 201) throw new Error(`a message was answered with ${answer.status}`);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** Opens the page in an empty browser context. Returns when it was readable and hydrated (ms), and the bytes loaded. */
async function open(phone) {
  const context = await browser.newContext();
  const page = await context.newPage();
  if (phone) {
    const tools = await context.newCDPSession(page);
    await tools.send("Emulation.setCPUThrottlingRate", { rate: phone.slower });
    await tools.send("Network.enable");
    await tools.send("Network.emulateNetworkConditions", { offline: false, ...phone });
  }
  await page.addInitScript(() => {
    const look = () => {
      if (document.documentElement?.dataset.hydrated === undefined) return;
      globalThis.hydratedAt ??= performance.now();
      watch.disconnect();
    };
    const watch = new MutationObserver(look);
    watch.observe(document, { attributes: true, subtree: true, attributeFilter: ["data-hydrated"] });
  });
  await page.goto(channel);
  await page.waitForFunction(() => globalThis.hydratedAt !== undefined);
  const times = await page.evaluate(() => ({
    read: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
    taken: globalThis.hydratedAt,
    bytes: performance.getEntriesByType("resource").reduce((sum, entry) => sum + entry.transferSize, 0),
  }));
  await context.close();
  return times;
}

try {
  console.log("page                     readable   taken over   transferred beside the page");
  for (const [name, phone] of [["this machine", null], ["as on a phone", PHONE]]) {
    const all = [];
    for (let time = 0; time < TIMES; time++) all.push(await open(phone));
    const of = (what) => median(all.map((times) => times[what]));
    console.log(
      `${name.padEnd(22)} ${of("read").toFixed(0).padStart(7)} ms ${of("taken").toFixed(0).padStart(9)} ms` +
        `${(of("bytes") / 1024).toFixed(0).padStart(19)} KiB`,
    );
  }
} finally {
  await browser.close();
  child.kill();
}
