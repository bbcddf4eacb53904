// What the page does when the service does not answer as it should: wants a token, is gone, has forgotten a series.

import { TOKEN } from "./fake.mjs";
import {
  WIDE,
  barriers,
  ensure,
  isLive,
  leave,
  picture,
  rows,
  shows,
  sleep,
  state,
  textOf,
  until,
  visit,
} from "./harness.mjs";

export const trouble = {
  async "a token is asked for, sent, and kept for the tab only"(browser, fake) {
    fake.mode = "token";
    const page = await visit(browser, fake.url, WIDE);
    page.expectNetworkErrors = true;
    await until("the token is asked for", () => shows(page, "#ask"));
    await until("the field has the focus", () => page.evaluate(() => document.activeElement.id === "token"));
    await picture(page, "token");
    const asked = fake.asked.length;
    await sleep(4000);
    ensure(fake.asked.length === asked, "it does not ask again without a token");
    await page.fill("#token", "no good token");
    await page.keyboard.press("Enter");
    ensure((await textOf(page, "#ask-wrong")).includes("no spaces"), "what cannot be a token is not sent");
    await page.fill("#token", "wrong");
    await page.keyboard.press("Enter");
    await until(
      "the wrong one is refused",
      async () => (await shows(page, "#ask")) && (await textOf(page, "#ask-wrong")).includes("not accepted"),
    );
    ensure((await barriers(page)).length === 0, (await barriers(page)).join("\n"));
    await page.fill("#token", TOKEN);
    await page.keyboard.press("Enter");
    await isLive(page);
    ensure(!(await shows(page, "#ask")), "the question is gone");
    await page.reload();
    await isLive(page);
    const kept = await page.evaluate(
      (token) =>
        [JSON.stringify({ ...localStorage }), location.href, document.cookie].some((all) => all.includes(token)),
      TOKEN,
    );
    ensure(!kept, "the token is kept in the tab's own storage only");
    await leave(page);
  },

  async "a lost connection: a banner, the last data in grey, ever longer pauses, and back"(browser, fake) {
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    page.expectNetworkErrors = true;
    const before = (await rows(page)).length;
    const top = () => page.evaluate(() => document.getElementById("headline").getBoundingClientRect().top);
    const placed = await top();
    await fake.stop();
    await until("the banner is there", () => shows(page, "#trouble"));
    ensure((await state(page)) === "lost" && (await rows(page)).length === before, "the last data stay");
    ensure((await top()) === placed, "the banner moves nothing");
    ensure((await textOf(page, "#trouble")).includes("What you see is of"), "the banner shows the time of the data");
    ensure(
      (await page.evaluate(() => getComputedStyle(document.querySelector("main")).filter)) === "grayscale(1)",
      "they are grey",
    );
    await sleep(300);
    await picture(page, "disconnected");
    ensure((await barriers(page)).length === 0, (await barriers(page)).join("\n"));
    await fake.start();
    await isLive(page);
    ensure(!(await shows(page, "#trouble")), "the banner is gone");

    fake.mode = "broken";
    const times = [];
    page.on("response", (answer) => {
      if (answer.url().endsWith("/live")) times.push(performance.now());
    });
    await until("the banner shows the status", async () => (await textOf(page, "#trouble")).includes("status 503"));
    await until("four tries", () => times.length >= 4);
    ensure(
      times[3] - times[2] > 1.5 * (times[1] - times[0]),
      `tries at ${times.map((at) => at.toFixed(0)).join(", ")} ms`,
    );
    fake.mode = "nonsense";
    await page.click("#trouble-act");
    await until("the banner reports invalid JSON", async () => (await textOf(page, "#trouble")).includes("not JSON"));
    fake.mode = "ok";
    await page.click("#trouble-act");
    await isLive(page);
    await leave(page);
  },

  async "a hidden page asks seldom"(browser, fake) {
    const page = await visit(browser, fake.url, WIDE);
    await isLive(page);
    await page.evaluate(() =>
      Object.defineProperty(document, "hidden", { configurable: true, get: () => window.away ?? true }),
    );
    // What was under way when it was hidden may still come.
    await sleep(6000);
    const asked = fake.asked.length;
    await sleep(6000);
    ensure(fake.asked.length === asked, `${fake.asked.length - asked} requests in 6 s`);
    await page.evaluate(() => {
      window.away = false;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await until("it asks at once when it is seen again", () => fake.asked.length > asked);
    await leave(page);
  },

  async "a missing series is reported, and the address of one opens it"(browser, fake) {
    const page = await visit(browser, `${fake.url}#s=0-3`, WIDE);
    await isLive(page);
    await until(
      "the address opens it",
      async () => (await textOf(page, "#detail-name")) === "disk,path=/var,host=web-01 used_percent",
    );
    page.expectNetworkErrors = true;
    for (const id of ["9-999", "..%2F..%2F", "%E0%A4%A", "%3Cimg%20src%3Dx%3E"]) {
      await page.goto(`${fake.url}#s=${id}`);
      await isLive(page);
    }
    await until("the missing one is reported", async () => (await textOf(page, "#plot-note")).includes("no history"));
    await leave(page);
  },
};
