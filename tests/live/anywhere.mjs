// What holds for the page wherever it is served and whatever it shows: run against the stand-in and against a real qualm.

import {
  PHONE,
  WIDE,
  barriers,
  ensure,
  isLive,
  leave,
  overflow,
  paint,
  rows,
  sleep,
  textOf,
  until,
  visit,
} from "./harness.mjs";

export const anywhere = {
  async "its content security policy allows nothing but itself"(browser, url, more) {
    const page = await visit(browser, url, { ...WIDE, ...more });
    const policy = (await page.answer.allHeaders())["content-security-policy"] ?? "";
    ensure(policy.includes("default-src 'none'"), `the policy is "${policy}"`);
    ensure(!policy.includes("unsafe"), `the policy is "${policy}"`);
    await isLive(page);
    await leave(page);
  },

  async "all series are listed, with the rows in sight only"(browser, url, more) {
    const page = await visit(browser, url, { ...WIDE, ...more });
    await isLive(page);
    const count = Number((await textOf(page, "#series-count")).replace(",", "").split(" ")[0]);
    const listed = await rows(page);
    if (count > 0)
      ensure(
        listed[0].of === count && listed[0].place === 1,
        `the title has ${count}, the rows ${JSON.stringify(listed[0])}`,
      );
    ensure(listed.length <= 60, `${listed.length} rows are in the document`);
    await leave(page);
  },

  async "search, sort and filter"(browser, url, more) {
    const page = await visit(browser, url, { ...WIDE, ...more });
    await isLive(page);
    const before = await rows(page);
    if (before.length === 0) return leave(page);
    const firstOrdinary = before.findIndex((row) => !row.bad);
    ensure(
      before.every((row, i) => row.bad === (firstOrdinary < 0 || i < firstOrdinary)),
      "anomalous ones come first",
    );

    await page.check("input[value=name]");
    const [first, second] = await rows(page);
    const order = new Intl.Collator("en", { numeric: true });
    if (second)
      ensure(
        order.compare(first.name.join(" ").trim(), second.name.join(" ").trim()) <= 0,
        `${first.name} before ${second.name}`,
      );
    await page.check("input[value=score]");

    const wanted = before.at(-1).name.join(" ").trim().split(" ").at(-1).slice(0, 60);
    await page.fill("#search", wanted.toUpperCase());
    const found = await rows(page);
    ensure(found.length > 0, `a search for ${wanted} finds nothing`);
    ensure(
      found.every((row) => row.name.join(" ").toLowerCase().includes(wanted.toLowerCase())),
      `a search for ${wanted} finds ${JSON.stringify(found)}`,
    );
    await page.fill("#search", "no such thing anywhere");
    ensure((await textOf(page, "#rows-empty")).includes("No series fits"), "a search in vain says so");
    await page.fill("#search", "");

    await page.check("#only");
    ensure(
      (await rows(page)).every((row) => row.bad),
      "only anomalous ones are left",
    );
    await leave(page);
  },

  async "a series opens by a click and its chart is drawn"(browser, url, more) {
    const page = await visit(browser, url, { ...WIDE, ...more });
    await isLive(page);
    const [first] = await rows(page);
    if (!first) return leave(page);
    await page.locator("#rows [role=option]").first().click();
    await until("the chart is drawn", async () => (await paint(page, "#plot-score")).all > 1000);
    await until("its history has come", async () => /\d/.test(await textOf(page, "#read-score")));
    ensure(/#s=/.test(page.url()), "what is open is in the address");
    await leave(page);
  },

  async "the theme follows the system, then the toggle, and is kept"(browser, url, more) {
    const page = await visit(browser, url, { ...WIDE, ...more });
    await isLive(page);
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await ground();
    ensure(light !== dark, `both themes have the ground ${light}`);
    await page.click("#theme");
    ensure((await ground()) === light, "the toggle turns a dark system's page light");
    await page.reload();
    ensure((await ground()) === light, "the choice is kept");
    await page.click("#theme");
    ensure(
      (await ground()) === dark && (await page.getAttribute("#theme", "aria-pressed")) === "true",
      "and back to dark",
    );
    await leave(page);
  },

  async "a phone 360 pixels wide needs no scrolling to the side"(browser, url, more) {
    const page = await visit(browser, url, { ...PHONE, ...more });
    await isLive(page);
    ensure((await overflow(page)) <= 0, `the page is ${await overflow(page)} pixels too wide`);
    if ((await rows(page)).length === 0) return leave(page);
    await page.locator("#rows [role=option]").first().tap();
    await until("the series covers the page", () => page.locator("#detail").isVisible());
    ensure((await overflow(page)) <= 0, "with a series open it is too wide");
    ensure(await page.evaluate(() => document.activeElement.id === "detail-name"), "the focus is on what was opened");
    await page.goBack();
    await until("back closes it", async () => !(await page.locator("#detail").isVisible()));
    ensure(await page.evaluate(() => document.activeElement.id === "rows"), "the focus is back in the list");
    await leave(page);
  },

  async "the keyboard alone is enough"(browser, url, more) {
    const page = await visit(browser, url, { ...WIDE, ...more });
    await isLive(page);
    const reached = [];
    for (let i = 0; i < 6; i += 1) {
      await page.keyboard.press("Tab");
      reached.push(
        await page.evaluate(
          () => document.activeElement.id || document.activeElement.className || document.activeElement.name,
        ),
      );
    }
    if ((await rows(page)).length < 3) return leave(page);
    ensure(reached.join(" ") === "skip theme search only sort rows", `Tab reaches ${reached.join(" ")}`);
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const active = await page.evaluate(() => {
      const row = document.getElementById(document.getElementById("rows").getAttribute("aria-activedescendant"));
      return {
        place: row.getAttribute("aria-posinset"),
        parts: [row.querySelector(".where").textContent, row.querySelector(".what").textContent],
      };
    });
    ensure(active.place === "3", `twice down is at ${active.place}`);
    await page.keyboard.press("Enter");
    const name = () => page.evaluate(() => document.getElementById("detail-name").textContent);
    await until(`Enter opens ${active.parts}`, async () => {
      const all = await name();
      return active.parts.every((part) => all.includes(part.slice(0, 100)));
    });
    await page.keyboard.press("End");
    const last = await page.evaluate(() => {
      const row = document.getElementById(document.getElementById("rows").getAttribute("aria-activedescendant"));
      return row.getAttribute("aria-posinset") === row.getAttribute("aria-setsize");
    });
    ensure(last, "End is at the end");
    await page.keyboard.press("Escape");
    ensure(!/#s=/.test(page.url()), "Escape closes it");
    await leave(page);
  },

  async "axe finds nothing serious, light or dark, wide or narrow"(browser, url, more) {
    for (const colorScheme of ["light", "dark"]) {
      for (const size of [WIDE, PHONE]) {
        const page = await visit(browser, url, { ...size, ...more, colorScheme });
        await isLive(page);
        await sleep(500);
        const found = await barriers(page);
        ensure(found.length === 0, `${colorScheme}:\n${found.join("\n")}`);
        await leave(page);
      }
    }
  },
};
