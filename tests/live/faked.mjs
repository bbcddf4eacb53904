// What needs data that are known.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { HOSTILE } from "./data.mjs";
import {
  HUGE,
  PHONE,
  WIDE,
  barriers,
  ensure,
  isLive,
  leave,
  overflow,
  paint,
  picture,
  rows,
  shows,
  sleep,
  textOf,
  until,
  visit,
} from "./harness.mjs";

const PAGE = fileURLToPath(new URL("../../http/src/live/", import.meta.url));

export const faked = {
  async "within one look: what, since when, which metric, why"(browser, fake) {
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    ensure((await textOf(page, "#headline")) === "3 of 43 series are anomalous", await textOf(page, "#headline"));
    ensure(/since \d\d:\d\d, for 2[01].min/.test(await textOf(page, "#subline")), await textOf(page, "#subline"));
    ensure(
      (await textOf(page, "#notices")).includes("kafka-lag is resting"),
      "a resting detector is shown with the verdict",
    );
    ensure((await page.title()) === "(3) qualm", await page.title());
    // The worst is open without a click.
    ensure((await textOf(page, "#detail-name")) === "cpu,host=web-02 usage_iowait", await textOf(page, "#detail-name"));
    await until("red above the threshold, blue below", async () => {
      const seen = await paint(page, "#plot-score");
      return seen.red > 500 && seen.blue > 500;
    });
    await until("its value is drawn", async () => (await paint(page, "#plot-value")).all > 500);
    const [first] = await rows(page);
    ensure(first.bad && /^outside band, at.\d/.test(first.sub), `its row says ${first.sub}`);
    await picture(page, "desktop-light");
    await page.emulateMedia({ colorScheme: "dark" });
    await sleep(300);
    await picture(page, "desktop-dark");
    await leave(page);
  },

  async "sorted by score anomalies are first, whatever the others' scores; by name 2 is before 10"(browser, fake) {
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    const inOrder = async (n) => (await rows(page)).slice(0, n).map((row) => row.name.join(" "));
    const scores = (await rows(page)).slice(0, 5).map((row) => Number(row.score));
    ensure(scores[2] < scores[3] && scores[3] === 2.4 && scores[3] > scores[4], `the scores are ${scores}`);
    await page.check("input[value=name]");
    const names = await inOrder(3);
    const wanted = ["cpu,host=web-01 usage_idle", "cpu,host=web-01 usage_iowait", "cpu,host=web-02 usage_idle"];
    ensure(names.join() === wanted.join(), `by name: ${names}`);
    fake.kind = "many";
    await until("1,000 series", async () => (await rows(page))[0].of === 1000);
    await page.fill("#search", "requests");
    const hosts = (await rows(page)).map((row) => Number(/web-(\d+)/.exec(row.name[0])[1]));
    ensure(
      hosts.every((host, i) => host === i + 1),
      `by name: ${hosts}`,
    );
    await leave(page);
  },

  async "contributions, incidents, models, drift and reloads are shown"(browser, fake) {
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    await page.locator("#incident-list button", { hasText: "web-03" }).first().click();
    await until(
      "the incident's series is open",
      async () => (await textOf(page, "#detail-name")) === "vitals host=web-03",
    );
    await until("five contributions", async () => (await page.locator("#shares tr").count()) === 5);
    const why = (await page.locator("#shares tr").allInnerTexts()).map((row) => row.replace(/\s+/g, " "));
    ensure(why[0] === "cpu_user 58 % 97.2" && why[4] === "load1 3 % 14.2", why.join("; "));
    ensure((await textOf(page, "#plot-note")).includes("a vector of 5"), "the number of a vector's features is shown");
    ensure(!(await shows(page, "#figure-value")), "a vector has no one value");
    ensure((await page.locator("#incident-list li").count()) === 9, "all incidents are listed");
    ensure((await page.locator("#incident-list .bad").count()) === 3, "three of them are open");
    const cards = (await textOf(page, "#detector-list")).replace(/\s+/g, " ");
    for (const words of [
      "host-vitals, version 7",
      "2 taken, 1 refused",
      "since training changed: mem_used (1.31 deviations), scores",
      "unknown: its model does not say",
      "version 8 is in shadow: 2 incidents against 3 in 3,200 rows",
      "new models take over at once",
      "version 6 is older",
      "resting",
      "deadline 9, trap 1, 2 rests",
    ])
      ensure(cards.includes(words), `${words} is not in ${cards}`);
    await leave(page);
  },

  async "bands are drawn where they are known, and reasons are shown"(browser, fake) {
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    await until("the band is drawn", async () => (await paint(page, "#plot-value")).blue > 5000);
    ensure((await textOf(page, "#legend-band")).includes("ordinary"), "the legend explains the shading");
    ensure(/ordinary at last/.test(await page.getAttribute("#plot-value", "aria-label")), "the label describes the band");
    ensure(/for 7.min: outside band, at.\d/.test(await textOf(page, "#detail-since")), await textOf(page, "#detail-since"));
    ensure(
      (await textOf(page, "#why-reason")).startsWith("Outside band: the value lies outside"),
      await textOf(page, "#why-reason"),
    );
    const listed = (await page.locator("#incident-list .sub").allInnerTexts()).join("; ");
    ensure(/outside band, at.\d/.test(listed) && /level shift, at.\d/.test(listed), `incidents show ${listed}`);
    ensure(/^cpu_user at|; cpu_user at/.test(listed), `incidents without a reason show none: ${listed}`);
    await page.locator("#rows [role=option]", { hasText: "blks_read" }).first().click();
    await until("its reason is shown", async () => (await textOf(page, "#why-reason")).startsWith("Level shift: "));
    await until("its value is drawn", async () => (await paint(page, "#plot-value")).all > 500);
    const { blue } = await paint(page, "#plot-value");
    ensure(blue < 500, `without a band none is drawn, but ${blue} points`);
    ensure(!(await shows(page, "#legend-band")), "nor has the legend one");
    await leave(page);
  },

  async "nothing moves while data come"(browser, fake) {
    for (const size of [WIDE, HUGE, PHONE]) {
      const page = await visit(browser, fake.url, size);
      await isLive(page);
      await sleep(5000);
      const shift = await page.evaluate(() => window.seen.shift);
      // A hundredth is what a line of text that grows by a word makes; 0.1 is what is called good.
      ensure(shift < 0.02, `the layout shifted by ${shift} at ${size.viewport.width} pixels`);
      await leave(page);
    }
  },

  async "a phone shows the series over the page"(browser, fake) {
    const page = await visit(browser, fake.url, PHONE);
    await isLive(page);
    await picture(page, "phone");
    await page.locator("#rows [role=option]").nth(2).tap();
    await until("the chart is drawn", async () => (await paint(page, "#plot-score")).red > 200);
    await sleep(300);
    await picture(page, "phone-series");
    ensure((await barriers(page)).length === 0, (await barriers(page)).join("\n"));
    await page.tap("#close");
    await until("it is closed", async () => !(await shows(page, "#detail")));
    await leave(page);
  },

  async "1,000 series: few rows, quick updates, all of them in reach"(browser, fake) {
    fake.kind = "many";
    const page = await visit(browser, fake.url, HUGE);
    await isLive(page);
    const seen = await rows(page);
    ensure(seen[0].of === 1000 && seen.length < 60, `${seen.length} rows for ${seen[0].of} series`);
    await until("the chart is drawn", async () => (await paint(page, "#plot-score")).red > 500);
    await picture(page, "many");
    await page.focus("#rows");
    await page.keyboard.press("End");
    ensure((await rows(page)).at(-1).place === 1000, "the last one is reached");

    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    const busy = async () =>
      (await session.send("Performance.getMetrics")).metrics.find((one) => one.name === "TaskDuration").value * 1000;
    const frame = await page.evaluate(
      () =>
        new Promise((done) => {
          const at = [];
          const tick = (now) =>
            at.push(now) < 40
              ? requestAnimationFrame(tick)
              : done(
                  at
                    .map((one, i) => one - at[i - 1])
                    .slice(1)
                    .sort((a, b) => a - b)[19],
                );
          requestAnimationFrame(tick);
        }),
    );
    const asked = () => fake.asked.filter((path) => path.endsWith("/live")).length;
    const [fromAsked, from] = [asked(), await busy()];
    await until("five updates", async () => asked() - fromAsked >= 5);
    const each = ((await busy()) - from) / (asked() - fromAsked);
    console.log(
      `        an update takes ${each.toFixed(1)} ms, ${(each / frame).toFixed(1)} idle frames of ${frame.toFixed(1)} ms`,
    );
    ensure(each < 8 * frame, `an update of 1,000 series takes ${each.toFixed(0)} ms, more than 8 frames`);
    await leave(page);
  },

  async "hostile names are text"(browser, fake) {
    fake.kind = "hostile";
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    // The parts of a name match in any order.
    const texts = (await rows(page)).flatMap(({ name: [where, what] }) => [
      `${where} ${what}`.trim(),
      `${what} ${where}`,
    ]);
    ensure(texts.length === 2 * HOSTILE.length, `${texts.length / 2} rows`);
    for (const name of HOSTILE) {
      const shown = name.slice(0, 60).replace(/[\p{Cc}\u202a-\u202e]/gu, "\ufffd");
      ensure(
        texts.some((text) => text.startsWith(shown)),
        `${shown} is not among ${texts.map((text) => text.slice(0, 60)).join(" | ")}`,
      );
    }
    for (let i = 0; i < HOSTILE.length; i += 1) {
      await page.locator("#rows [role=option]").nth(i).click();
      await until("its history has come", async () => /\d/.test(await textOf(page, "#read-score")));
    }
    ensure(
      (await page.locator("main img, main script, main b, main iframe").count()) === 0,
      "markup came to be from a name",
    );
    ensure((await overflow(page)) <= 0, "a long name widens the page");
    await picture(page, "hostile");
    await leave(page);
    const phone = await visit(browser, fake.url, PHONE);
    await isLive(phone);
    ensure((await overflow(phone)) <= 0, "a long name widens the phone's page");
    await leave(phone);
  },

  async "nothing scored yet"(browser, fake) {
    fake.kind = "warming";
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    ensure(
      (await textOf(page, "#headline")) === "Nothing scored yet: warming up, 0 of 43",
      await textOf(page, "#headline"),
    );
    await picture(page, "empty");
    fake.kind = "nothing";
    await until("no series at all", async () => (await textOf(page, "#headline")) === "Nothing scored yet");
    ensure((await textOf(page, "#rows-empty")) === "No series yet.", "the list says so");
    ensure((await barriers(page)).length === 0, (await barriers(page)).join("\n"));
    fake.kind = "quiet";
    await until("then all is quiet", async () => (await textOf(page, "#headline")) === "Nothing is anomalous");
    await until("and the highest is open", async () => (await paint(page, "#plot-score")).blue > 500);
    await picture(page, "quiet");
    await leave(page);
  },

  async "text from the server can become markup nowhere, and the library is the one that is named"() {
    for (const name of readdirSync(PAGE).filter((file) => file.endsWith(".js"))) {
      const found =
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("(?:style|on|href)/.exec(
          readFileSync(PAGE + name, "utf8"),
        );
      ensure(!found, `${name} uses ${found}`);
    }
    const readme = readFileSync(`${PAGE}vendor/README.md`, "utf8");
    for (const name of ["uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE"]) {
      const digest = createHash("sha256")
        .update(readFileSync(`${PAGE}vendor/${name}`))
        .digest("hex");
      ensure(readme.includes(digest), `vendor/README.md does not state ${name}'s sha256, ${digest}`);
    }
  },
};
