// Tests that axe finds no accessibility violations, in light and dark and on wide and narrow screens.

import AxeBuilder from "@axe-core/playwright";
import { expect, openLive, test } from "./baro";

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [1440, 390]) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      test.use({ colorScheme, viewport: { width, height: 844 } });

      test("no page has what axe finds wrong", async ({ baro, page, complaints }) => {
        await baro.say("온실-3동", '{"temp":24.8,"hum":61}');
        await baro.say("온실-3동", '{"temp":24.9,"hum":60}');
        await baro.say("온실-3동", "네, 임계값 넣어 둘게요.");
        await openLive(page, baro.channel("온실-3동"));
        await expect(page.locator(".feed [data-id]")).toHaveCount(3);
        expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
        await page.goto(baro.url);
        await expect(page.locator("html[data-hydrated]")).toBeAttached();
        expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
        complaints.cut = true;
        await page.goto(`${baro.url}/nowhere`);
        expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
        // The page must not scroll horizontally.
        expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
      });
    });
  }
}
